#!/bin/sh
# Installs endpoints-guard into a folder of its own, as it is in the image: locked wheels only, byte code
# ready, no pip, and the same bytes from the same commit. The Dockerfile and `make image` both call it.
#
#   PYTHON=python3.11 SOURCE_DATE_EPOCH=1700000000 deploy/install.sh FOLDER
#
# PYTHON is the interpreter that will run it, from the same place. FOLDER must not exist.
set -eu

folder=$1
python=${PYTHON:-python3}
# The first day that a zip file can name.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-315532800}"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore PIP_QUIET=1
# Byte code holds frozen sets in the order of their hashes.
export PYTHONHASHSEED=0

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ -e "$folder" ]; then
  echo "$0: $folder is there already: remove it, or name another folder" >&2
  exit 2
fi

# What builds is not what is built: it stays in scratch.
"$python" -m venv "$scratch/builder"
pip="$scratch/builder/bin/python -m pip"
$pip install --require-hashes --only-binary :all: --requirement "$checkout/requirements/build.txt"
mkdir "$scratch/source"
for each in pyproject.toml README.md LICENSE webhook certs; do
  cp -R "$checkout/$each" "$scratch/source/"
done
$pip wheel --no-deps --no-build-isolation --wheel-dir "$scratch/wheels" "$scratch/source"

"$python" -m venv --without-pip "$folder"
into="$pip --python $folder/bin/python"
$into install --require-hashes --only-binary :all: --requirement "$checkout/requirements/runtime.txt"
$into install --no-deps --no-index --find-links "$scratch/wheels" endpoints-guard
$into check

"$folder/bin/python" -I "$checkout/deploy/prune.py"
"$folder/bin/python" -I -m compileall -q --invalidation-mode unchecked-hash "$folder/lib"
find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
