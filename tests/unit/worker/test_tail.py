"""The end of a worker's log: bounded, of all its processes, without secrets."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.build import Build
from tasks.errors import Unreachable
from tasks.log import say
from tasks.protocol import MOST_LOG, Hardware, Welcome, WorkerLog
from worker.agent.agent import Agent, Circumstances
from worker.agent.tail import SIZE, LogTail, TailHandler, keep_tail
from worker.runner import Identity


def test_tail_keeps_the_newest_whole_lines(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "w" / "log.tail", size=100)
    tail.write(b"first\n")
    assert tail.read() == "first\n"
    for number in range(50):
        tail.write(b"line %02d\n" % number)
    lines = tail.read().splitlines()
    assert lines == [f"line {number:02d}" for number in range(50 - len(lines), 50)]
    assert 80 <= len(tail.read()) <= 100
    assert (tmp_path / "w" / "log.tail").stat().st_size <= 116


def test_a_line_longer_than_the_ring_leaves_its_end(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "log.tail", size=10)
    tail.write(b"0123456789abcdef\n")
    tail.write(b"xy\n")
    assert tail.read() == "xy\n"


def test_all_processes_of_a_worker_write_into_one_tail(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "log.tail")
    children = []
    for who in range(4):
        child = os.fork()
        if child == 0:
            try:
                for number in range(400):
                    tail.write(b"%d says %d\n" % (who, number))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    said = sorted(f"{who} says {number}" for who in range(4) for number in range(400))
    assert sorted(tail.read().splitlines()) == said, "none is lost, none is torn"


def test_who_writes_waits_for_whoever_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "log.tail"
    tail = LogTail(path)
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = threading.Thread(target=tail.write, args=(b"late\n",))
        writer.start()
        writer.join(timeout=0.2)
        assert writer.is_alive()
        assert path.read_bytes() == b""
    writer.join()
    assert tail.read() == "late\n"


def test_tail_outlives_the_process_and_a_damaged_one_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.tail"
    LogTail(path).write(b"before the crash\n")
    assert LogTail(path).read() == "before the crash\n"
    path.write_bytes(b"???")
    assert LogTail(path).read() == ""
    LogTail(path).write(b"after\n")
    assert LogTail(path).read() == "after\n"


def test_tail_is_for_its_owner_and_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "log.tail"
    tail = LogTail(path)
    logger = logging.Logger("d8.test")
    logger.addHandler(TailHandler(tail))
    say(logger, logging.INFO, "joined", url="amqp://one:hunter2@broker", token="d8" + "x" * 43)
    text = tail.read()
    assert "joined" in text
    assert "hunter2" not in text
    assert "xxxx" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_logged_from_now_on_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", logging.WARNING)
    monkeypatch.setattr(logging.getLogger("d8"), "level", logging.NOTSET)
    tail = LogTail(tmp_path / "log.tail")
    keep_tail(tail)
    logging.getLogger("celery.worker").info("much that says little")
    logging.getLogger("d8.anything").info("how it stands")
    assert "how it stands" in tail.read()
    assert "much" not in tail.read()
    assert SIZE == 64 * 1024


class Master:
    """Wants the log once; refuses what it is told to refuse."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.logs: list[WorkerLog] = []

    def join(self, _: object) -> Welcome:
        return Welcome(state="active", fleet_build="b", heartbeat_s=30, log_wanted=not self.logs)

    heartbeat = join

    def send_log(self, message: WorkerLog) -> None:
        if self.away:
            raise Unreachable("the master does not answer")
        self.logs.append(message)


def make_agent(master: Master, text: str) -> Agent:
    return Agent(
        Identity(name="garage", session="s" * 8, build="b"),
        Build(id="b", commit="", dirty=False),
        Circumstances(lanes=("cpu",), slots=1, host="h"),
        cast(Any, master),
        cast(Any, SimpleNamespace(deliver=lambda _: None)),
        lambda: Hardware(machine="m", cpus=1, memory_mib=1, disk_free_mib=1),
        cast(Any, SimpleNamespace(error="", note="")),
        lambda _: None,
        lambda: None,
        lambda: text,
    )


def test_agent_sends_the_log_when_it_is_wanted_and_only_then() -> None:
    master = Master()
    agent = make_agent(master, "x" * (MOST_LOG + 1) + "end")
    agent._one_round()
    agent._one_round()
    (message,) = master.logs
    assert message.text.endswith("xend")
    assert len(message.text) == MOST_LOG


def test_log_that_cannot_be_sent_holds_up_no_heartbeat() -> None:
    master = Master(away=True)
    agent = make_agent(master, "text")
    assert agent._one_round() == 30
    master.away = False
    agent._one_round()
    assert [message.text for message in master.logs] == ["text"]
