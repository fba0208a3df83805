"""The model server as a process: its socket, its lock, its supervisor, and clients that outlive it."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tasks.errors import PermanentFailure, TransientFailure, Unhealthy
from tests.conftest import StartProcess
from tests.support import Process, wait_until
from worker.models.client import ModelClient
from worker.models.protocol import GenerateItem, ScoreItem
from worker.models.supervise import ModelServerSupervisor, ServerSettings, ensure_model_server, ping

ITEM = ScoreItem(prompt="hello", choices=("a", "b"))


class Waits:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float, /) -> None:
        self.now_s += seconds


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "m.sock"


@pytest.fixture
def settings(tmp_path: Path, socket_path: Path) -> Iterator[ServerSettings]:
    yield ServerSettings(socket_path=socket_path, log_folder=tmp_path, options=("--text-model", "fake:"))
    health = ping(socket_path)
    if health is not None:
        end(health.pid, signal.SIGKILL)


def end(pid: int, how: signal.Signals) -> None:
    os.kill(pid, how)
    wait_until(lambda: not psutil.pid_exists(pid), what=f"process {pid} ends")


def serve(start_process: StartProcess, socket_path: Path, *options: str) -> Process:
    process: Process = start_process(
        [sys.executable, "-m", "worker.models.server", "--socket", socket_path, *options], name="server"
    )
    wait_until(lambda: ping(socket_path), what="the server answers", diagnose=process.tail)
    return process


def test_only_the_owner_may_open_the_socket(start_process: StartProcess, socket_path: Path) -> None:
    serve(start_process, socket_path)

    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600


def test_the_fake_model_answers_without_torch(start_process: StartProcess, socket_path: Path) -> None:
    process = serve(start_process, socket_path)
    client = ModelClient(socket_path)

    client.score("fake:", [ITEM])
    client.generate("fake:", [GenerateItem(prompt="a b")])
    client.embed("fake:", ["a"])

    assert client.describe("fake:")["model"] == "fake:"
    assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()


def test_long_lists_come_back_whole_and_in_order(start_process: StartProcess, socket_path: Path) -> None:
    serve(start_process, socket_path)
    client = ModelClient(socket_path)
    items = [ScoreItem(prompt=f"number {number}", choices=("a", "b")) for number in range(600)]

    together = client.score("fake:", items)

    assert together[599] == client.score("fake:", items[599:])[0]
    assert len(together) == 600
    # The one that was asked again was kept.
    assert (client.usage.prompt_tokens, client.usage.kept) == (2 * 600, 1)


def test_an_unknown_model_is_a_permanent_failure(start_process: StartProcess, socket_path: Path) -> None:
    serve(start_process, socket_path)

    with pytest.raises(PermanentFailure, match="no embedded model is called 'gpt'"):
        ModelClient(socket_path).score("embedded:gpt", [ITEM])


def test_a_second_server_on_the_same_socket_refuses_and_names_the_first(
    start_process: StartProcess, socket_path: Path
) -> None:
    first = serve(start_process, socket_path)
    second = start_process([sys.executable, "-m", "worker.models.server", "--socket", socket_path])

    assert second.wait() == 4
    assert f"process id {first.pid}) already serves" in second.output()
    assert ping(socket_path) is not None


def test_a_socket_left_by_a_killed_server_is_replaced(start_process: StartProcess, socket_path: Path) -> None:
    first = serve(start_process, socket_path)
    first.signal(signal.SIGKILL)
    first.wait()
    assert socket_path.exists()

    second = serve(start_process, socket_path)

    health = ping(socket_path)
    assert health is not None
    assert health.pid == second.pid


def test_sigterm_ends_it_cleanly(start_process: StartProcess, socket_path: Path) -> None:
    process = serve(start_process, socket_path)

    process.signal(signal.SIGTERM)

    assert process.wait() in (0, -signal.SIGTERM)
    assert not socket_path.exists()


def test_it_ends_by_itself_when_nobody_asks(start_process: StartProcess, socket_path: Path) -> None:
    process = start_process(
        [sys.executable, "-m", "worker.models.server", "--socket", socket_path, "--idle-exit-s", "0.2"]
    )

    assert process.wait() == 0
    assert not socket_path.exists()


def test_a_socket_path_too_long_for_unix_is_refused_with_the_limit(
    start_process: StartProcess, tmp_path: Path
) -> None:
    process = start_process(
        [sys.executable, "-m", "worker.models.server", "--socket", tmp_path / ("x" * 120)]
    )

    assert process.wait() == 2
    assert "longer than the 107 bytes" in process.output()


def test_two_workers_that_start_at_once_share_one_server(settings: ServerSettings) -> None:
    with ThreadPoolExecutor(2) as workers:
        pids = {health.pid for health in workers.map(lambda _: ensure_model_server(settings), range(2))}

    assert len(pids) == 1


def test_a_server_that_cannot_start_shows_the_end_of_its_log(settings: ServerSettings) -> None:
    broken = ServerSettings(
        socket_path=settings.socket_path, log_folder=settings.log_folder, options=("--dtype", "int3")
    )

    with pytest.raises(Unhealthy, match=r"(?s)exit code 2 .* invalid choice: 'int3'"):
        ensure_model_server(broken)


def test_requests_survive_the_death_of_the_server(settings: ServerSettings) -> None:
    supervisor = ModelServerSupervisor(settings, interval_s=0.05)
    supervisor.start()
    client = ModelClient(settings.socket_path)
    first = client.health().pid
    answers: list[int] = []

    def keep_asking() -> None:
        for _ in range(300):
            answers.append(len(client.score("", [ITEM])))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    wait_until(lambda: len(answers) > 20)
    os.kill(first, signal.SIGKILL)
    asking.join(timeout=60)
    supervisor.stop()

    assert answers == [1] * 300
    assert client.health().pid != first


def test_a_client_without_a_server_gives_up_after_the_time_it_was_given(socket_path: Path) -> None:
    waits = Waits()
    client = ModelClient(socket_path, restart_wait_s=90, waits=waits)

    with pytest.raises(TransientFailure, match=r"no model server answers at .* within 90 s"):
        client.score("fake:", [ITEM])

    assert 90 <= waits.now_s < 95
