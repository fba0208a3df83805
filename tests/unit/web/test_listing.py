"""Which runs and requests a page's address asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from master.web import approvals
from master.web.runs.listing import address_of, after_text, read_after, read_filter
from master.web.runs.page import is_text
from tasks.errors import InvalidInput

EMPTY = dict.fromkeys(("state", "flow", "by", "text", "since", "until"), "")


def test_days_are_the_owners_and_the_last_one_is_a_part() -> None:
    wanted = read_filter({**EMPTY, "since": "2026-11-20", "until": "2026-11-21"}, ZoneInfo("Europe/Madrid"))
    assert wanted.since == datetime(2026, 11, 19, 23, tzinfo=UTC)
    assert wanted.until == datetime(2026, 11, 21, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked", [{"state": "finished"}, {"since": "yesterday"}, {"until": "2026-13-01"}, {"text": "x" * 201}]
)
def test_what_no_run_can_be_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        read_filter({**EMPTY, **asked}, UTC)


def test_the_place_of_a_page_is_read_as_it_was_written() -> None:
    run: dict[str, Any] = {"id": "noop-x~y", "created_at": datetime(2026, 11, 21, 1, 2, 3, 456, tzinfo=UTC)}
    after = read_after(after_text(run))
    assert after is not None
    assert (after.run_id, after.created_at) == (run["id"], run["created_at"])
    assert read_after("") is None


@pytest.mark.parametrize("text", ["x", "2026-11-21T00:00:00~a", "2026-99-21T00:00:00+00:00~a", "~", "~a"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="first page"):
        read_after(text)
    with pytest.raises(InvalidInput, match="first page"):
        approvals.read_after(text)


def test_an_address_keeps_the_filters_and_begins_at_the_first_page() -> None:
    asked = {**EMPTY, "flow": "a&b", "text": "é"}
    assert address_of(asked, state="failed") == "/runs?state=failed&flow=a%26b&text=%C3%A9"
    assert address_of(EMPTY) == "/runs"
    assert approvals.address_of({"show": "rejected"}) == "/approvals?show=rejected#decided"


@pytest.mark.parametrize(
    ("media_type", "shown"),
    [
        ("text/html", True),
        ("text/markdown; charset=utf-8", True),
        ("application/json", True),
        ("application/ld+json", True),
        ("image/png", False),
        ("application/zip", False),
        ("", False),
    ],
)
def test_text_is_shown_as_text(media_type: str, shown: bool) -> None:
    assert is_text(media_type) is shown
