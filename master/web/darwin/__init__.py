"""Darwin's pages: the evolutions and agents in use, one evolution with its pictures, and starting one."""

from __future__ import annotations

from starlette.routing import BaseRoute

from master.darwin.glance import Comparers
from master.web.darwin.acting import post_act
from master.web.darwin.reading import read_list, reader_of_one
from master.web.darwin.starting import MOST_FORM, post_check, post_start, read_new
from master.web.door import Door, Section


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.page("/darwin", "darwin.html", read_list),
        door.page("/darwin/new", "darwin_new.html", read_new),
        door.form("/darwin/check", post_check, most_bytes=MOST_FORM),
        door.form("/darwin/start", post_start),
        door.page("/darwin/{run_id}", "darwin_one.html", reader_of_one(Comparers())),
        door.form("/darwin/{run_id}/{verb}", post_act),
    ]


SECTION = Section(path="/darwin", name="Darwin", routes=routes)
