# bitswitch with the versions of constraints.txt, torch for CUDA, and TeX: docker build --tag bitswitch .
# How it is used: docs/howto/run-in-a-container.md
FROM python:3.11-slim-bookworm

COPY . /opt/bitswitch
RUN /opt/bitswitch/container/install.sh /opt/bitswitch

# The rules, which suites are there, and a place to work in for whoever runs it.
COPY Snakefile /work/
COPY config /work/config
COPY profiles /work/profiles
COPY workflow /work/workflow
RUN useradd --uid 1000 --create-home bitswitch \
    && mkdir /work/results /work/data \
    && chmod --recursive a+rwX /work

# For a user without a home of its own: docker run --user.
ENV HOME=/tmp
USER 1000
WORKDIR /work
VOLUME ["/work/results", "/work/data"]
CMD ["bitswitch", "--help"]
