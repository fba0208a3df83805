"""What Darwin's pages read."""

from __future__ import annotations

import re
from typing import Any

from master.approvals import list_approvals
from master.darwin.glance import Comparers, Wish, look_at_evolution
from master.darwin.listing import list_agents, list_evolutions
from master.darwin.promotion import promotions_of
from master.store.artifacts import ArtifactFolder
from master.web.asked import moment_of
from master.web.darwin import pictures
from master.web.door import Read, Reading
from tasks.errors import InvalidInput

#: Evolutions in one page of the list.
PAGE = 25


def read_list(reading: Reading) -> dict[str, Any]:
    """``/darwin?before=``: one page of evolutions, newest first, and the agents."""
    before = moment_of(reading.query.get("before", ""))
    found = list_evolutions(reading.connection, limit=PAGE + 1, before=before)
    return {
        "evolutions": found[:PAGE],
        "older": found[PAGE - 1]["created_at"] if len(found) > PAGE else None,
        "agents": list_agents(reading.connection),
    }


def reader_of_one(comparers: Comparers) -> Read:
    """``/darwin/{run_id}?of=&at=&x=&y=``: one evolution, a candidate's family, two axes to compare in."""

    def read(reading: Reading) -> dict[str, Any]:
        run_id, connection = reading.path("run_id"), reading.connection
        wish = Wish(of=_candidate(reading, "of"), at=_candidate(reading, "at"))
        folder = ArtifactFolder(reading.services.settings.artifact_folder)
        shown = look_at_evolution(connection, run_id, folder.read, comparers, wish, now=reading.now)
        promotions = promotions_of(connection, run_id)
        asked = [
            approval
            for run in (run_id, *(one["id"] for one in promotions[-2:]))
            for approval in list_approvals(connection, run_id=run)
        ]
        return {
            "evolution": shown,
            "asked": asked,
            "can_promote": "held_out" in (shown["result"] or {})
            and not any(one["state"] in ("running", "waiting") for one in promotions),
            **_pictures(shown, reading.query.get("x", ""), reading.query.get("y", "")),
        }

    return read


def _candidate(reading: Reading, name: str) -> int | None:
    text = reading.query.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"c?[0-9]{1,9}", text):
        raise InvalidInput(f"{name}={text[:40]!r} is not a candidate's number, such as c12")
    return int(text.removeprefix("c"))


def _pictures(shown: dict[str, Any], x: str, y: str) -> dict[str, Any]:
    axes = pictures.axes_of(shown["population"], shown["goals"])
    names = list(axes)
    x = x if x in axes else names[0] if names else ""
    y = y if y in axes and y != x else next((name for name in names if name != x), "")
    family, held_out = shown["family"], (shown["result"] or {}).get("held_out")
    return {
        "fitness": pictures.fitness(shown["points"]),
        "use": pictures.use_of_fleet(shown["points"], shown["slots"]),
        "axes": axes,
        "chosen": (x, y),
        "front": pictures.front(shown["population"], axes, x, y) if y else None,
        "tree": pictures.family_tree(family["members"], family["root"], family["chosen"].number)
        if family
        else None,
        "intervals": [
            (
                name,
                held_out[name],
                pictures.interval(*(held_out[name][at] for at in ("low", "score", "high"))),
            )
            for name in ("seed", "best")
        ]
        if held_out
        else [],
    }
