"""The helpers of the tests themselves: what they promise, so that other tests can lean on it."""

from __future__ import annotations

import sys

import pytest
import redis

from tests.conftest import StartProcess
from tests.support import Valkey, free_port, wait_until


def test_valkey_answers_only_with_the_password(valkey: Valkey) -> None:
    with valkey.client() as client:
        assert client.ping()
    with redis.Redis(port=valkey.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_valkey_keeps_what_it_had_over_a_restart(own_valkey: Valkey) -> None:
    with own_valkey.client() as client:
        client.set("key", "value")
        client.execute_command("WAITAOF", 1, 0, 5000)
    own_valkey.kill()
    own_valkey.restart()
    with own_valkey.client() as client:
        assert client.get("key") == b"value"


def test_process_that_ends_early_fails_the_waiting_at_once(start_process: StartProcess) -> None:
    process = start_process([sys.executable, "-c", "print('wrong'); raise SystemExit(3)"])
    with pytest.raises(AssertionError, match=r"ended with 3 before 'right' appeared(?s:.*)wrong"):
        process.wait_for_line("right", timeout_s=60)


def test_killing_a_process_ends_its_children(start_process: StartProcess) -> None:
    port = free_port()
    child = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.BaseHTTPRequestHandler).serve_forever()"
    parent = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); print(p.pid); p.wait()"
    process = start_process([sys.executable, "-c", parent])
    child_pid = int(process.wait_for_line(r"^(\d+)$")[1])
    process.kill_group()
    wait_until(lambda: not _is_running(child_pid), what="the child is gone")


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match="not within 0 s: the moon"):
        wait_until(lambda: 0, timeout_s=0, what="the moon")


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
