"""The clients' pages: the board of projects, one project with its site in a frame, and adding one."""

from __future__ import annotations

from starlette.routing import BaseRoute

from master.web.clients.reading import read_board_page, reader_of_one
from master.web.clients.sites import Sites
from master.web.clients.starting import MOST_FORM, post_add, post_again, post_check, read_new
from master.web.door import Door, Section


def routes(door: Door) -> list[BaseRoute]:
    sites = Sites(door.services)
    return [
        door.page("/clients", "clients.html", read_board_page),
        door.page("/clients/new", "clients_new.html", read_new),
        door.form(
            "/clients/check",
            lambda _, request, caller: post_check(door, request, caller),
            most_bytes=MOST_FORM,
        ),
        door.form("/clients/add", post_add, most_bytes=MOST_FORM),
        door.page("/clients/{client_id}", "clients_one.html", reader_of_one(sites)),
        door.form("/clients/{client_id}/again", post_again),
        door.guarded("/clients/{client_id}/site-{number:int}.zip", sites.answer_zip, "GET"),
        sites.route,
    ]


SECTION = Section(path="/clients", name="Clients", routes=routes)
