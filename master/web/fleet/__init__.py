"""The fleet: every machine with its state and why, what it runs, its numbers over time, its log."""

from __future__ import annotations

from starlette.routing import BaseRoute

from master.web.door import Door, Section
from master.web.fleet.acts import acts_of
from master.web.fleet.pages import read_fleet, read_worker


def routes(door: Door) -> list[BaseRoute]:
    acts = acts_of(door)
    return [
        door.page("/fleet", "fleet.html", read_fleet),
        # Not beneath /fleet/: a worker may be called anything.
        door.form("/invites", acts.invite),
        door.guarded("/invites", acts.show_no_invite, "GET"),
        door.form("/invites/{invite_id}/revoke", acts.revoke),
        door.page("/fleet/{worker}", "fleet_worker.html", read_worker),
        door.form("/fleet/{worker}/{verb}", acts.act),
    ]


SECTION = Section(path="/fleet", name="Fleet", routes=routes)

__all__ = ["SECTION"]
