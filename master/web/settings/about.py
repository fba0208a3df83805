"""What runs here: the build, the database, the libraries of these pages."""

from __future__ import annotations

import json
import platform
from typing import Any

from starlette.routing import BaseRoute

from master.store.migrate import current_revision
from master.store.size import database_bytes
from master.web.door import N_, Door, Reading, Section
from master.web.pages import STATIC
from tasks.build import current_build

HERE = "/settings/about"


def routes(door: Door) -> list[BaseRoute]:
    return [door.page(HERE, "settings_about.html", read_about)]


def read_about(reading: Reading) -> dict[str, Any]:
    services = reading.services
    build = current_build()
    return {
        "build": build,
        "home": str(services.settings.home),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "database": services.database.url.get_backend_name(),
        "database_bytes": database_bytes(services.database, reading.connection),
        "revision": current_revision(reading.connection),
        "libraries": json.loads((STATIC / "vendor" / "vendor.json").read_text(encoding="utf-8")),
    }


PAGE = Section(path=HERE, name=N_("About"), routes=routes)
