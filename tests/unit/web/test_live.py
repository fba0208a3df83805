"""The event stream's numbers and messages."""

from __future__ import annotations

import json

import pytest

from master.web.live import encode_news, server_is_ending, start_after


@pytest.mark.parametrize(
    ("header", "query", "seq"),
    [
        ("17", "5", 17),
        ("", "5", 5),
        ("", "", None),
        ("x", "", None),
        ("-1", "", None),
        ("٣", "4", 4),
        ("9" * 40, "", None),
    ],
)
def test_stream_starts_after_what_the_browser_saw_last(header: str, query: str, seq: int | None) -> None:
    assert start_after(header, query) == seq


def test_one_message_tells_of_many_events_and_carries_the_last_number() -> None:
    message = encode_news(
        [{"seq": 3, "run_id": "b"}, {"seq": 4, "run_id": ""}, {"seq": 9, "run_id": "a\n\nevent: forged"}]
    )
    lines = message.split("\n")
    assert lines[:2] == ["id: 9", "event: news"]
    assert lines[3:] == ["", ""]
    assert json.loads(lines[2].removeprefix("data: ")) == {"events": 3, "runs": ["a\n\nevent: forged", "b"]}


def test_process_without_our_server_is_not_ending() -> None:
    assert server_is_ending() is False
