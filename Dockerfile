# One image for every role and for clients. It builds on any image with Python 3.11 or newer as `python3`, with venv
# and pip; so where no image registry can be reached, name one that is there, or have one made out of Debian packages:
#   docker build --build-arg PYTHON_IMAGE=my-python -t paxosd .
#   docker build --build-arg PYTHON_IMAGE=$(tests/compose/base_image.sh) -t paxosd .
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/paxosd
# The dependencies first: they change seldom, and a change of the source then builds in seconds.
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      >requirements.txt && \
    /opt/paxosd/bin/pip install --requirement requirements.txt
COPY README.md LICENSE ./
COPY paxosd paxosd
RUN /opt/paxosd/bin/pip install --no-deps . && \
    /opt/paxosd/bin/pip uninstall --yes --quiet pip

FROM ${PYTHON_IMAGE}
# The directory belongs to the user before it is declared a volume, so that a new volume does too. Its group is 0, for
# platforms that run an image as a user of their own choice in that group (OpenShift). What a daemon makes in there is
# for its own user alone.
RUN groupadd --gid 10001 paxosd && \
    useradd --uid 10001 --gid paxosd --no-create-home --home-dir /var/lib/paxosd --shell /usr/sbin/nologin paxosd && \
    install --directory --owner=paxosd --group=root --mode=770 /var/lib/paxosd
COPY --from=build /opt/paxosd /opt/paxosd
ENV PATH=/opt/paxosd/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/paxosd
VOLUME /var/lib/paxosd
# No shell in between: the daemon is process 1 and gets the signals. The kernel drops those that process 1 has no handler
# for yet, but not blocked ones: `env` blocks them and becomes the daemon, which lets them in when its handlers stand.
STOPSIGNAL SIGTERM
ENTRYPOINT ["env", "--block-signal=TERM,INT,HUP", "paxosd"]
CMD ["--help"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["paxosd", "health", "--data-dir", "/var/lib/paxosd"]
