"""One model server for these tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.darwin.stage import RealContext
from worker.models.client import ModelClient
from worker.models.supervise import ModelServerSupervisor, ServerSettings, ping


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelClient]:
    folder = tmp_path_factory.mktemp("server")
    settings = ServerSettings(
        socket_path=folder / "m.sock",
        log_folder=folder,
        options=("--dtype", "float32", "--cache-folder", str(folder), "--idle-exit-s", "60"),
    )
    supervisor = ModelServerSupervisor(settings, interval_s=0.2)
    supervisor.start()
    yield ModelClient(settings.socket_path)
    supervisor.stop()
    if (health := ping(settings.socket_path)) is not None:
        os.kill(health.pid, signal.SIGTERM)


@pytest.fixture
def context(client: ModelClient) -> RealContext:
    return RealContext(client)
