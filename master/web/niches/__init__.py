"""The niches' pages: studies and what they found, one study with its opportunity map, and starting one."""

from __future__ import annotations

from starlette.routing import BaseRoute

from master.web.door import Door, Section
from master.web.niches.reading import read_list, read_study
from master.web.niches.starting import MOST_FORM, post_again, post_check, post_start, read_new


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.page("/niches", "niches.html", read_list),
        door.page("/niches/new", "niches_new.html", read_new),
        door.form("/niches/check", post_check, most_bytes=MOST_FORM),
        door.form("/niches/start", post_start),
        door.page("/niches/{run_id}", "niches_one.html", read_study),
        door.form("/niches/{run_id}/again", post_again),
    ]


SECTION = Section(path="/niches", name="Niches", routes=routes)
