# Two images from one build: `docker build --target operator .` and `docker build --target gateway .`
#
# Both have one program on top of a distroless base: no shell, no package manager, user 65532, and nothing that writes to
# the root file system. The builder's Debian and the base's must stay the same release, because of glibc.

FROM rust:1.95-bookworm AS builder
WORKDIR /source
# librdkafka, OpenSSL and zlib are built from source: make and perl are in this image; cmake is not needed.
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --package headgate-operator --package headgate-gateway --bins && \
    mkdir /programs && \
    cp target/release/headgate-operator target/release/headgate-gateway /programs/ && \
    strip --strip-debug /programs/*

FROM gcr.io/distroless/cc-debian12:nonroot AS base
# By number, so that the kubelet can see without looking into the image that it is not root.
USER 65532:65532
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="Headgate" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS operator
LABEL org.opencontainers.image.title="headgate-operator" \
      org.opencontainers.image.description="Turns StreamEndpoints into running gateways"
COPY --from=builder /programs/headgate-operator /headgate-operator
EXPOSE 9090
ENTRYPOINT ["/headgate-operator"]

FROM base AS gateway
LABEL org.opencontainers.image.title="headgate-gateway" \
      org.opencontainers.image.description="Streams a Kafka topic to WebSocket and SSE clients, with cursors"
COPY --from=builder /programs/headgate-gateway /headgate-gateway
EXPOSE 8080 9090
ENTRYPOINT ["/headgate-gateway"]
