"""Which models the fleet uses, and where they are loaded."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from master.fleet.roster import list_workers
from master.web.door import N_, Door, Reading, Section
from master.web.views import model_server_of

HERE = "/settings/model"


def routes(door: Door) -> list[BaseRoute]:
    return [door.page(HERE, "settings_model.html", read_model)]


def read_model(reading: Reading) -> dict[str, Any]:
    settings = reading.services.settings
    workers = list_workers(reading.connection)
    return {
        "model": settings.model,
        "embedding_model": settings.embedding_model,
        "settings_file": str(settings.home / "d8.env"),
        "servers": [
            (worker, server) for worker in workers if (server := model_server_of(worker)) is not None
        ],
        "without": [worker["name"] for worker in workers if worker["model_server"] is None],
    }


PAGE = Section(path=HERE, name=N_("Model"), routes=routes)
