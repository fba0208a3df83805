"""A server with the fake model and a client of it, shared by a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.integration.front.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With ``fake:`` for all, and another name of it."""
    options = ("--text-model", "fake:", "--embedding-model", "fake:", "--http-model", "fake:other")
    started = Server(tmp_path_factory.mktemp("front"), *options)
    yield started
    started.process.stop()


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with server.client() as made:
        yield made
