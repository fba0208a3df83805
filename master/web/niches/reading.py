"""What the niches' pages read."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

from master.approvals import list_approvals
from master.niches.changes import Kind
from master.niches.ranking import Ranked
from master.niches.reading import list_best, list_studies, look_at_study
from master.store.artifacts import ArtifactFolder
from master.web.asked import moment_of
from master.web.door import Reading
from master.web.niches import pictures
from tasks.errors import NotFound

#: Studies in one page of the list.
PAGE = 25


def read_list(reading: Reading) -> dict[str, Any]:
    """``/niches?before=``: one page of studies, newest first, and the best niches of the latest."""
    found = list_studies(
        reading.connection, limit=PAGE + 1, before=moment_of(reading.query.get("before", ""))
    )
    return {
        "studies": found[:PAGE],
        "older": found[PAGE - 1]["created_at"] if len(found) > PAGE else None,
        "best": list_best(reading.connection),
    }


def read_study(reading: Reading) -> dict[str, Any]:
    """``/niches/{run_id}?market=&niche=&x=&y=``: one market of a study, one niche in detail, two axes."""
    run_id = reading.path("run_id")
    folder = ArtifactFolder(reading.services.settings.artifact_folder)
    shown = look_at_study(reading.connection, run_id, reading.query.get("market", ""), folder.read)
    study = shown["study"]
    ranked = study.ranked if study is not None else ()
    x, y = pictures.axes_of(reading.query.get("x", ""), reading.query.get("y", ""))
    chosen = _chosen(ranked, reading.query.get("niche", ""))
    kinds = Counter(change.kind for change in shown["changes"])
    return {
        "shown": shown,
        "study": study,
        "asked": list_approvals(reading.connection, run_id=run_id),
        "axes": pictures.AXES,
        "x": x,
        "y": y,
        "map": pictures.opportunity_map(ranked, x, y, chosen.niche.key if chosen else ""),
        "chosen": chosen,
        "parts": pictures.parts(chosen.niche.score) if chosen else [],
        "rows": [(one, pictures.interval(one.niche.score.total)) for one in ranked],
        "unchanged": kinds[Kind.SAME],
        "changed": [change for change in shown["changes"] if change.kind is not Kind.SAME],
        "once": secrets.token_hex(8),
    }


def _chosen(ranked: tuple[Ranked, ...], key: str) -> Ranked | None:
    if not key:
        return ranked[0] if ranked else None
    found = next((one for one in ranked if one.niche.key == key), None)
    if found is None:
        raise NotFound(f"this study has no niche {key[:40]!r} in this market")
    return found
