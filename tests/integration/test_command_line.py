"""What scripts may rely on: exit codes, streams, completion, no colors where none are wanted."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from master.cli.main import COMMANDS, GROUPS
from master.supervisor import only_one
from tests.conftest import StartProcess
from tests.support import ROOT

README = ROOT / "README.md"
RUN = {
    "id": "noop-1", "state": "failed", "error": "it broke", "note": "", "progress": 0.5, "steps_done": 1,
    "steps_total": 2, "steps": [], "result": None,
}  # fmt: skip
SEEN: dict[str, Any] = {
    "/api/status": {
        "state": "running", "build": "b" * 12, "steps": {"ready": 3}, "time": "2026-11-21T12:00:05+00:00",
    },
    "/api/workers": [{
        "name": "garage", "state": "active", "lanes": ["cpu", "gpu"], "slots": 2, "note": "", "reason": "",
        "hardware": {"gpus": [{"use_pct": 40, "memory_used_mib": 2048, "memory_mib": 16384}]},
        "running": [{"key": "evaluate:1", "progress": 0.25}],
    }],
    "/api/runs": [{**RUN, "id": "darwin-1", "state": "running", "error": "", "note": "[red]generation 2"}],
    "/api/approvals": [{
        "id": "ap-1", "type": "PAYMENT", "title": "Register tapas.es", "created_at": "2026-11-21T11:00:00+00:00",
    }],
}  # fmt: skip


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "master.cli", *arguments]


def d8(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip


class Answers(http.server.BaseHTTPRequestHandler):
    """A master that answers as it is asked to: ``/api/runs/409`` with 409."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        body: Any = SEEN.get(path)
        if isinstance(body, list):
            body = {"items": body, "next": None}
        status = 200
        if path.endswith("/html"):
            self._answer(200, b"<html>")
            return
        if found := re.fullmatch(r"/api/runs/([\w-]+)", path):
            titles = {"409": "Refused", "404": "NotFound", "504": "TimedOut", "503": "Unhealthy"}
            status = int(found[1]) if found[1] in titles else 200
            body = {"title": titles[found[1]], "detail": "because"} if found[1] in titles else RUN
        self._answer(status, body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(201, {"id": "noop-1"})

    def _answer(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """The test reads the command's output, not ours."""


@pytest.fixture
def master(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home that knows a master which answers as ``Answers`` does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (d8_home / "secrets").mkdir()
    (d8_home / "secrets" / "owner.token").write_text("x" * 40)
    monkeypatch.setenv("D8_MASTER_URL", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "meaning", "arguments"),
    [
        (0, "ok", ["status", "--help"]),
        (1, "failed", ["run", "start", "noop", "--json"]),
        (2, "usage", ["run", "show"]),
        (2, "usage", ["run", "start", "noop", "--params", "{"]),
        (3, "unhealthy", ["run", "show", "503"]),
        (4, "not allowed", ["run", "show", "409"]),
        (5, "not found", ["run", "show", "404"]),
        (6, "timed out", ["run", "show", "504"]),
    ],
)
def test_exit_code_says_what_the_readme_says(
    master: None, code: int, meaning: str, arguments: list[str]
) -> None:
    assert f"{code} {meaning}" in re.sub(r"\s+", " ", README.read_text("utf-8"))
    done = d8(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["approval", "list"]])
def test_master_of_another_release_is_one_paragraph_and_no_traceback(
    master: None, arguments: list[str]
) -> None:
    done = d8(*arguments)
    assert done.returncode == 3
    assert "the master's answer has no '" in done.stderr
    assert "of another release than this command" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_master_is_said_to_be_none(master: None) -> None:
    done = d8("approval", "show", "html")
    assert done.returncode == 3
    assert "is no D8 master, or one of another release" in done.stderr


def test_second_master_in_a_home_is_not_allowed(d8_home: Path) -> None:
    (d8_home / "run").mkdir()
    with only_one(d8_home / "run"):
        done = d8("up", "--workers", "0")
    assert done.returncode == 4
    assert "a master runs in" in done.stderr


def test_data_is_on_standard_output_and_all_else_beside_it(master: None) -> None:
    done = d8("run", "start", "noop", "--json")
    assert json.loads(done.stdout)["state"] == "failed"
    assert "'d8 run retry noop-1'" in re.sub(r"\s+", " ", done.stderr), "the next useful command"
    assert done.stderr.endswith("d8: run noop-1 failed: it broke\n")


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["statsu"], "d8 status"),
        (["run", "lsit"], "list"),
        (["approval", "aprove"], "approve"),
        (["tokn"], "d8 token"),
    ],
)
def test_mistyped_command_gets_the_nearest_in_groups_too(
    d8_home: Path, arguments: list[str], near: str
) -> None:
    done = d8(*arguments)
    assert done.returncode == 2
    assert near in done.stderr.lower()
    assert "did you mean" in done.stderr.lower()


def test_nothing_is_colored_where_nothing_shall_be(master: None) -> None:
    colored = d8("watch", "--once", FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b[3" in colored.stdout
    plain = d8("watch", "--once", FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")
    assert re.search(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38)", plain.stdout) is None
    assert "\x1b" not in d8("watch", "--once").stdout


def test_watch_shows_what_waits_who_works_and_how_far_it_is(master: None) -> None:
    done = d8("watch", "--once", COLUMNS="160")
    assert done.returncode == 0, done.stderr
    for text in ("3 ready", "ap-1", "Register tapas.es", "garage", "1/2", "40% 2.0/16 GiB", "evaluate:1 25%",
                 "darwin-1", "1/2", "[red]generation 2"):  # fmt: skip
        assert text in done.stdout, text


def put_logs(home: Path) -> Path:
    folder = home / "logs"
    folder.mkdir()
    (folder / "api.log").write_text(
        "2026-11-21T10:00:01 I d8.api one run=darwin-1\n2026-11-21T10:00:03 E d8.api three\nTraceback of three\n"
    )
    (folder / "duties.log").write_text(
        '{"at": "2026-11-21T10:00:02.5+00:00", "event": "two", "run": "darwin-1"}\n'
    )
    return folder


def test_logs_of_all_parts_come_in_order_of_time(d8_home: Path) -> None:
    assert d8("logs").returncode == 5
    put_logs(d8_home)
    lines = d8("logs").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["api", "duties", "api", "api"]
    assert lines[-1].endswith("Traceback of three")
    assert d8("logs", "--lines", "1").stdout.splitlines() == lines[-1:]
    assert len(d8("logs", "--run", "darwin-1").stdout.splitlines()) == 2
    assert d8("logs", "duties").stdout.startswith('{"at"')
    nothing = d8("logs", "web")
    assert (nothing.returncode, "api, duties" in nothing.stderr) == (5, True)


def test_logs_are_followed_over_a_new_file_until_interrupted(
    d8_home: Path, start_process: StartProcess
) -> None:
    folder = put_logs(d8_home)
    process = start_process(command("logs", "api", "--follow"))
    process.wait_for_line("Traceback of three")
    with (folder / "api.log").open("a") as file:
        file.write("2026-11-21T10:00:04 I d8.api fo")
        file.flush()
        file.write("ur\n")
    process.wait_for_line("d8.api four$")
    (folder / "api.log").rename(folder / "api.log.1")
    (folder / "api.log").write_text("2026-11-21T10:00:05 I d8.api five\n")
    process.wait_for_line("d8.api five$")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert process.output().count("three") == 2, "nothing is shown twice"


def test_watch_ends_when_it_is_interrupted(master: None, start_process: StartProcess) -> None:
    process = start_process(command("watch"))
    process.wait_for_line("garage")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert "Traceback" not in process.output()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_asks_d8(d8_home: Path, shell: str) -> None:
    done = d8("completion", shell)
    assert done.returncode == 0, done.stderr
    assert "_D8_COMPLETE" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "number", "offered"),
    [("d8 st", 1, ["status"]), ("d8 worker dr", 2, ["drain"]), ("d8 logs --fo", 2, ["--follow"])],
)
def test_shell_is_offered_commands_subcommands_and_options(
    d8_home: Path, words: str, number: int, offered: list[str]
) -> None:
    done = d8(COMP_WORDS=words, COMP_CWORD=str(number), _D8_COMPLETE="complete_bash")
    assert done.stdout.split() == offered


def test_every_command_is_in_the_documents() -> None:
    texts = "\n".join(path.read_text("utf-8") for path in [README, *(ROOT / "docs").glob("*.md")])
    unnamed = [name for name in [*GROUPS, *COMMANDS] if not re.search(rf"\bd8 {name}\b", texts)]
    assert unnamed == []
