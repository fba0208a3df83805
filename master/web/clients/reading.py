"""What the clients' pages read."""

from __future__ import annotations

import secrets
from typing import Any

from master.clients.board import Stage
from master.clients.reading import look_at_project, read_board
from master.web.asked import whole
from master.web.clients.sites import Sites, find_version
from master.web.door import Read, Reading
from tasks.errors import NotFound


def read_board_page(reading: Reading) -> dict[str, Any]:
    """``/clients``: the projects by stage."""
    board = read_board(reading.connection)
    return {"cards": board["cards"], "counts": board["counts"], "stages": list(Stage)}


def reader_of_one(sites: Sites) -> Read:
    """``/clients/{client_id}?version=``: one project, one of its versions in the frame."""

    def read(reading: Reading) -> dict[str, Any]:
        output = reading.services.settings.output
        shown = look_at_project(reading.connection, reading.path("client_id"), output)
        versions = shown["versions"]
        number = whole(reading.query.get("version", ""), "versions")
        version = find_version(versions, number) if number else versions[0] if versions else None
        if number and version is None:
            raise NotFound(f"project {shown['client'].id} has no version {number}: its page lists them")
        return {
            **shown,
            "version": version,
            "ticket": sites.ticket(version.site, reading.now) if version else "",
            "once": secrets.token_hex(8),
        }

    return read
