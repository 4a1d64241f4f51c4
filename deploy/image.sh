#!/bin/sh
# Builds the image with the container engine that is here; says so if there is none.
#
#   deploy/image.sh TAG
set -eu
cd "$(dirname -- "$0")/.."
epoch=$(git log -1 --format=%ct)
# So that podman and buildah keep the health check.
export BUILDAH_FORMAT=docker
revision=$(git rev-parse HEAD)
for engine in docker podman buildah; do
  if "$engine" info >/dev/null 2>&1; then
    exec "$engine" build --tag "$1" --build-arg SOURCE_DATE_EPOCH="$epoch" --build-arg REVISION="$revision" .
  fi
done
echo "No container engine answers (docker, podman, buildah): the image was not built. Its program was, above."
