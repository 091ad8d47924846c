# syntax=docker/dockerfile:1

# The build stage and the final one are the same Debian release, so that they have the same glibc.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# One cache of compiled code for each platform. It is not part of the image, so the binary is
# copied out of it.
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=target-$TARGETPLATFORM,sharing=locked \
    cargo build --release --locked -p amiops \
    && cp target/release/amiops /amiops

# No shell and no package manager: glibc, libgcc and the CA roots. Runs as user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /amiops /usr/local/bin/amiops
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/amiops"]
CMD ["controller"]
