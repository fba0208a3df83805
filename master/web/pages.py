"""Templates to responses, and the headers that every response of the dashboard carries."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from master.ledger.money import format_money
from master.web import views

HERE = Path(__file__).parent
STATIC = HERE / "static"

#: Nothing inline, nothing from elsewhere, no frame around it.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def secured(response: Response, *, keep: bool = False) -> Response:
    """Add the headers. What is the owner's is not kept by the browser, unless ``keep``."""
    response.headers.update(HEADERS)
    if not keep:
        response.headers["Cache-Control"] = "no-store"
    return response


class Pages:
    """Renders templates; everything put into them is escaped."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            age=views.format_age,
            duration=views.format_duration,
            is_digest=views.is_digest,
            node=views.to_node,
            percent=views.percent,
            size=views.format_size,
            utc=_utc,
            iso=_iso,
        )
        self._environment.globals.update(
            asset=_assets(),
            cost_label=views.cost_label,
            describe_usage=views.describe_usage,
            hardware=views.describe_hardware,
            image_types=views.IMAGE_TYPES,
            money=format_money,
            model_server_of=views.model_server_of,
            slots_of=views.slots_of,
            steps_to_show=views.steps_to_show,
            took=views.took,
        )

    def render(self, template: str, values: dict[str, Any], *, status: int = 200) -> Response:
        text = self._environment.get_template(template).render(values)
        return secured(HTMLResponse(text, status_code=status))


def _assets() -> dict[str, str]:
    """Addresses of our files by name, each with its digest, so that a new build is seen at once."""
    return {
        path.name: f"/static/{path.name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path in STATIC.iterdir()
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
