# A worker, and the model server beside it.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS libraries
# cpu; cuda, which brings CUDA's libraries along (the driver comes from the host); or none, for a worker
# that only runs steps without a model.
ARG TORCH=cpu
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
RUN docker/install "${TORCH}"

FROM ${BASE_IMAGE}
# A fixed number: the volumes' files belong to it, whichever image made them.
RUN groupadd --gid 10001 d8 \
    && useradd --uid 10001 --gid d8 --home-dir /var/lib/d8 --no-create-home --shell /usr/sbin/nologin d8 \
    && install -d -o d8 -g d8 -m 0700 /var/lib/d8 /run/d8-models
WORKDIR /opt/d8
COPY --from=libraries /opt/d8/.venv .venv
# The master's code stays out: a worker has neither use nor libraries for it.
COPY celeryconfig.py requirements.txt ./
COPY requirements/ requirements/
COPY scripts/ scripts/
COPY docker/ docker/
COPY tasks/ tasks/
COPY worker/ worker/
ARG D8_BUILD=
RUN docker/bake "${D8_BUILD}"
LABEL org.opencontainers.image.title="D8 worker" io.d8.build="${D8_BUILD}"
# NVIDIA's container runtime reads it: which of the driver's parts to bring in. Elsewhere it means nothing.
ENV PATH=/opt/d8/.venv/bin:$PATH PYTHONPATH=/opt/d8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    D8_HOME=/var/lib/d8 NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER d8
VOLUME ["/var/lib/d8", "/run/d8-models"]
# 'run' and not 'start': a container's code changes with its image, not by itself.
CMD ["d8", "worker", "run"]
