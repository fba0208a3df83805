"""The event stream's numbers."""

from __future__ import annotations

import pytest

from master.web.live import most_streams, server_is_ending, start_after


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


def test_streams_leave_open_files_to_workers_and_pages() -> None:
    assert most_streams(65_536) == 65_024
    assert most_streams(1024) == 512
    assert most_streams(256) == 128, "with few files, half of them"


def test_process_without_our_server_is_not_ending() -> None:
    assert server_is_ending() is False
