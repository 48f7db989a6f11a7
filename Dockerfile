# bitswitch with the versions of constraints.txt, torch for CUDA, and TeX: docker build --tag bitswitch .
# How it is used: docs/howto/run-in-a-container.md
FROM python:3.11-slim-bookworm

COPY . /opt/bitswitch
RUN /opt/bitswitch/container/install.sh /opt/bitswitch

# The rules, which suites are there, and a place to work in for whoever runs it.
COPY Snakefile /suite/
COPY config /suite/config
COPY profiles /suite/profiles
COPY workflow /suite/workflow
RUN useradd --uid 1000 --create-home bitswitch \
    && mkdir /suite/results /suite/data \
    && chmod --recursive a+rwX /suite

# For a user without a home of its own: docker run --user.
ENV HOME=/tmp
USER 1000
WORKDIR /suite
VOLUME ["/suite/results", "/suite/data"]
CMD ["bitswitch", "--help"]
