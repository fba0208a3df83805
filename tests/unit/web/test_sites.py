"""A ticket for a site ends by itself, and each process gives its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from master.web.clients.sites import Sites, type_of
from tasks.errors import NotFound

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SITE = "a" * 64
NO_SERVICES = cast(Any, None)


def test_a_ticket_is_good_for_hours_and_not_for_days() -> None:
    sites = Sites(NO_SERVICES)
    ticket = sites.ticket(SITE, NOW)
    assert sites._open(ticket, NOW) == SITE
    assert sites._open(ticket, NOW + timedelta(hours=5)) == SITE
    with pytest.raises(NotFound, match="open the project's page again"):
        sites._open(ticket, NOW + timedelta(hours=13))


def test_a_page_that_is_rendered_again_has_the_same_address() -> None:
    sites = Sites(NO_SERVICES)
    assert sites.ticket(SITE, NOW) == sites.ticket(SITE, NOW + timedelta(minutes=20))


def test_another_process_does_not_take_it() -> None:
    with pytest.raises(NotFound):
        Sites(NO_SERVICES)._open(Sites(NO_SERVICES).ticket(SITE, NOW), NOW)


def test_a_file_of_an_unknown_kind_is_only_bytes() -> None:
    assert type_of("index.html").startswith("text/html")
    assert type_of("a/b.SVG") == "application/octet-stream"
    assert type_of("feed.xml").startswith("text/plain")
    assert type_of("noending") == "application/octet-stream"
