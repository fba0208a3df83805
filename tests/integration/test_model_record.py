"""A real model server process, as heartbeats and step records tell of it."""

from __future__ import annotations

import hashlib
import signal
import sys
from pathlib import Path

from tests.conftest import StartProcess
from tests.support import wait_until
from worker.agent.models import read_model_server
from worker.models.client import ModelClient
from worker.models.protocol import GenerateItem, ScoreItem

ITEM = ScoreItem(prompt="hello", choices=("a", "b"))


def test_numbers_and_the_record_follow_what_is_asked_and_outlive_the_server(
    start_process: StartProcess, tmp_path: Path
) -> None:
    socket_path = tmp_path / "m.sock"
    assert read_model_server(socket_path) is None
    server = start_process(
        [sys.executable, "-m", "worker.models.server", "--socket", socket_path], name="server"
    )
    wait_until(
        lambda: read_model_server(socket_path) is not None, what="the server answers", diagnose=server.tail
    )
    idle = read_model_server(socket_path)
    assert idle is not None
    assert (idle.models, idle.memory_mib > 1) == ((), True)

    client = ModelClient(socket_path)
    assert client.describe_used() == []
    client.score("fake:", [ITEM])
    client.generate("fake:", [GenerateItem(prompt="a b")])

    busy = read_model_server(socket_path)
    assert busy is not None
    assert busy.models == ("fake:",)
    digest = hashlib.sha256(b"fake:").hexdigest()
    described = [{"model": "fake:", "sha256": digest, "dtype": "none", "device": "none"}]
    assert client.describe_used() == described

    late = ModelClient(socket_path)
    late.embed("fake:", ["a"])
    server.signal(signal.SIGKILL)
    server.wait()
    assert client.describe_used() == described, "it was known before"
    assert late.describe_used() == [{"model": "fake:", "sha256": "", "dtype": "", "device": ""}]
    assert read_model_server(socket_path) is None
