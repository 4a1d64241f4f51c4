# The image: a slim Debian with Python, and the program with its locked wheels. No pip, no compiler, in no layer.
#
#   docker buildx build --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" --tag endpoints-guard .
#
# The base is pinned by the digest of its index, which has all platforms; Dependabot moves it on. Its Python is the one
# that requirements/*.txt are locked with. To look one up: docker buildx imagetools inspect python:3.11-slim-trixie
FROM python:3.11.15-slim-trixie@sha256:db3ff2e1800a8581e2c48a27c3995339d47bdf046da21c7627accd3d51053a93 AS base

FROM base AS program
ARG SOURCE_DATE_EPOCH
COPY . /source
RUN PYTHON=/usr/local/bin/python3.11 /source/deploy/install.sh /opt/endpoints-guard

FROM base AS trimmed
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip \
      /usr/local/lib/python3.11/idlelib /usr/local/lib/python3.11/lib2to3 /usr/local/lib/python3.11/turtledemo \
      /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/pydoc* /usr/local/bin/2to3* /usr/local/bin/wheel \
      /usr/local/include /root/.cache /var/cache/* /var/log/* \
 && echo 'nonroot:x:65532:65532:nonroot:/nonexistent:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'nonroot:x:65532:' >> /etc/group

# From scratch, because a layer on top of the base could only hide what was removed.
FROM scratch
# hadolint ignore=DL3067
COPY --from=trimmed / /
COPY --from=program /opt/endpoints-guard /opt/endpoints-guard
# glibc gives each thread a heap of its own, and memory back only when it must: after an overload it would keep twice as much.
ENV PATH=/opt/endpoints-guard/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=262144 \
    MALLOC_TRIM_THRESHOLD_=1048576 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /
EXPOSE 8443 8081
# For engines that look; Kubernetes has the chart's probes.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8081, timeout=4); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["endpoints-guard"]
CMD ["--help"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="endpoints-guard" \
      org.opencontainers.image.description="Admission webhook that checks Endpoints and EndpointSlices against the Service and Pods they claim to describe" \
      org.opencontainers.image.url="https://github.com/endpoints-guard/endpoints-guard" \
      org.opencontainers.image.source="https://github.com/endpoints-guard/endpoints-guard" \
      org.opencontainers.image.documentation="https://github.com/endpoints-guard/endpoints-guard/blob/main/docs/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.15-slim-trixie" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
