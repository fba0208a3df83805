"""Logs for people and for programs; never a secret in either."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tasks.log import JsonFormatter, TextFormatter, about, configure_logging, find_log_format, redact, say

TOKEN = "d8" + "Ab3_-" * 8 + "xyz"
BOT = "123456789:" + "Ax_-9" * 7
SECRETS = [
    ("amqp://d8:hunter2@broker:5672//", "hunter2", "amqp://d8:<secret>@broker:5672//"),
    ("redis://:hunter2@127.0.0.1/0", "hunter2", "redis://:<secret>@127.0.0.1/0"),
    (f"Authorization: Bearer {TOKEN}", TOKEN, "Authorization: Bearer <secret>"),
    (f"sent {TOKEN} there", TOKEN, "sent <secret> there"),
    (f"https://api.telegram.org/bot{BOT}/getMe", BOT, "https://api.telegram.org/bot<secret>/getMe"),
    ("owner_token=abcdef1234 step=7", "abcdef1234", "owner_token=<secret> step=7"),
    ('{"password": "hunter2", "a": 1}', "hunter2", '{"password": <secret>, "a": 1}'),
]


class Lines:
    """A logger whose lines are kept."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(formatter)
        self.log = logging.Logger("d8.test")
        self.log.addHandler(handler)

    def last(self) -> str:
        return self._stream.getvalue().splitlines()[-1]

    def last_object(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.last())
        return found


def test_json_line_has_the_event_its_fields_and_what_it_is_about() -> None:
    lines = Lines(JsonFormatter())
    with about(run="darwin-1", step=7, attempt=2, worker="garage"):
        say(lines.log, logging.WARNING, "renewal_failed", step=8, why='a "quoted"\nreason')
    found = lines.last_object()
    assert found["at"].endswith("+00:00")
    assert (found["level"], found["logger"], found["event"]) == ("warning", "d8.test", "renewal_failed")
    assert (found["run"], found["step"], found["attempt"], found["worker"]) == ("darwin-1", 8, 2, "garage")
    assert found["why"] == 'a "quoted"\nreason'
    say(lines.log, logging.INFO, "later")
    assert "run" not in lines.last_object(), "it is about that no more"


def test_line_of_a_library_says_what_it_is_about_too() -> None:
    lines = Lines(JsonFormatter())
    with about(step=7), about(run="r"):
        lines.log.warning("retrying %s of %s", 1, 3)
    found = lines.last_object()
    assert (found["message"], found["event"], found["step"], found["run"]) == ("retrying 1 of 3", "", 7, "r")


def test_field_never_hides_what_every_line_has() -> None:
    lines = Lines(JsonFormatter())
    say(lines.log, logging.INFO, "x", level="fake", at="never")
    assert lines.last_object()["level"] == "info"


@pytest.mark.parametrize(("text", "secret", "shown"), SECRETS)
@pytest.mark.parametrize("formatter", [JsonFormatter, TextFormatter])
def test_no_secret_is_written_whoever_logs_it(
    text: str, secret: str, shown: str, formatter: type[logging.Formatter]
) -> None:
    assert redact(text) == shown
    lines = Lines(formatter())
    say(lines.log, logging.INFO, "called", url=text)
    assert secret not in lines.last()
    lines.log.warning("calling %s", text)
    assert secret not in lines.last()
    try:
        raise ValueError(text)
    except ValueError:
        lines.log.exception("failed")
    assert secret not in lines._stream.getvalue()


def test_field_named_for_a_secret_is_left_out() -> None:
    lines = Lines(JsonFormatter())
    say(lines.log, logging.INFO, "made", fencing_token="abc", password="x y", tokens=12)
    found = lines.last_object()
    assert (found["fencing_token"], found["password"], found["tokens"]) == ("<secret>", "<secret>", 12)
    assert "abc" not in lines.last()
    assert "x y" not in lines.last()


@pytest.mark.parametrize(
    "text", ["step=7 attempt=1 tokens=12", "http://127.0.0.1:7500/runs", "d8-master 12:30"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_format_comes_from_the_environment_or_the_homes_file(
    d8_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_log_format() == "text"
    (d8_home / "d8.env").write_text("D8_PORT=1\nD8_LOG_FORMAT=json\n")
    assert find_log_format() == "json"
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        configure_logging()
        say(logging.getLogger("d8.api"), logging.INFO, "hello", step=1)
    finally:
        root.handlers, root.level = before, level
    assert json.loads(capsys.readouterr().err)["step"] == 1
    monkeypatch.setenv("D8_LOG_FORMAT", "text")
    assert find_log_format() == "text"
