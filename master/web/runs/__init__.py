"""The runs: their list, and one run with everything that belongs to it.

listing.py   the list with its filters     page.py     one run, its log, a step, an artifact
graph.py     its steps as a graph (pure)   timeline.py who did what when (pure)
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from master.web.door import Door, Section
from master.web.runs.listing import read_runs
from master.web.runs.page import post_run, read_artifact, read_log_page, read_one, read_step

__all__ = ["SECTION"]


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.page("/runs", "runs.html", read_runs),
        door.page("/runs/{run_id}", "run.html", read_one),
        door.page("/runs/{run_id}/log", "run_log.html", read_log_page),
        door.page("/runs/{run_id}/step", "run_step.html", read_step),
        door.page("/runs/{run_id}/artifacts/{digest}", "run_artifact.html", read_artifact),
        door.form("/runs/{run_id}/{verb}", post_run),
    ]


SECTION = Section(path="/runs", name="Runs", routes=routes)
