# What code that nobody has vouched for runs in: Python, and nothing of ours. Build it on each worker:
#   docker build -t d8-sandbox -f docker/sandbox.Dockerfile docker
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
USER 65534:65534
WORKDIR /tmp
