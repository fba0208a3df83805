# The master: API, duties, Telegram, Flower and the secrets' maker are one image with different commands.
# Debian or a relative of it, with Python 3.11 to 3.14; amd64 and arm64.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS libraries
# How this builder reaches its packages. Arguments of this stage are in neither the final image nor its history.
ARG PIP_INDEX_URL=
ARG PIP_EXTRA_INDEX_URL=
ARG PIP_FIND_LINKS=
ARG PIP_NO_INDEX=
ARG PIP_TRUSTED_HOST=
# A certificate authority to trust beside the usual ones: base64 of its PEM file.
ARG EXTRA_CA_BASE64=
WORKDIR /opt/d8
# What decides which libraries there are, and nothing more: code changes leave this layer alone.
COPY requirements.txt ./
COPY requirements/ requirements/
COPY scripts/__init__.py scripts/bootstrap_pip.py scripts/d8 scripts/env scripts/
COPY scripts/environment/ scripts/environment/
COPY docker/install docker/
RUN docker/install master

FROM ${BASE_IMAGE}
# A fixed number: the volumes' files belong to it, whichever image made them.
RUN groupadd --gid 10001 d8 \
    && useradd --uid 10001 --gid d8 --home-dir /var/lib/d8 --no-create-home --shell /usr/sbin/nologin d8 \
    && install -d -o d8 -g d8 -m 0700 /var/lib/d8
WORKDIR /opt/d8
COPY --from=libraries /opt/d8/.venv .venv
COPY . .
ARG D8_BUILD=
RUN docker/bake "${D8_BUILD}"
LABEL org.opencontainers.image.title="D8 master" io.d8.build="${D8_BUILD}"
ENV PATH=/opt/d8/.venv/bin:$PATH PYTHONPATH=/opt/d8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    D8_HOME=/var/lib/d8
USER d8
VOLUME /var/lib/d8
CMD ["d8", "--help"]
