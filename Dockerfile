# syntax=docker/dockerfile:1.7
# One service as an image, for people who build with Docker:
#   docker build --build-arg SERVICE=patient-service -t patient-management/patient-service:local .
# `deployer images load` makes the same without Docker and in a tenth of the time; what `deployer up` deploys is made that way.

FROM rust:1.95.0-bookworm AS build
# librdkafka is compiled with make and needs the headers of zlib and OpenSSL; the cryptography library is compiled with cmake
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake libssl-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG SERVICE
# The target directory is a cache, so that a second service compiles nothing of the first again. What the binary needs and the
# base may lack (zlib, OpenSSL, the authorities of RDS) goes beside it.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    test -n "$SERVICE" || { echo "name the service: --build-arg SERVICE=patient-service" >&2; exit 1; } \
    && cargo build --release --locked --workspace --bin "$SERVICE" \
    && install -D "target/release/$SERVICE" /image/usr/local/bin/service \
    && ldd /image/usr/local/bin/service | awk '$1 ~ /^lib(z|ssl|crypto)\./ { print $3 }' | xargs -r cp --parents -L -t /image \
    && install -D -m 644 deployer/crates/images/src/rds-global-bundle.pem /image/etc/ssl/certs/rds-global-bundle.pem

# glibc, certificates and a user, no shell
FROM gcr.io/distroless/cc-debian12:nonroot
ARG SERVICE
LABEL org.opencontainers.image.title="$SERVICE" org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /image /
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/service", "health"]
ENTRYPOINT ["/usr/local/bin/service"]
