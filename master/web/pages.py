"""Templates to responses, and the headers that every response of the dashboard carries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from master.ledger.money import format_money
from master.locale import LANGUAGES, translations_for
from master.web import views
from master.web.csrf import FormTokens, hidden_field, hide_token, show_token, shown_token

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

    def __init__(
        self, menu: Sequence[tuple[str, str]] = (), settings_menu: Sequence[tuple[str, str]] = ()
    ) -> None:
        """``menu``: address and name of what every page leads to, the names in English; ``settings_menu``:
        the same of the pages of the settings."""
        menus = {"menu": menu, "settings_menu": settings_menu}
        self._of_language = {language: _environment(language, menus) for language in LANGUAGES}

    def render(
        self,
        template: str,
        values: dict[str, Any],
        *,
        language: str = "en",
        status: int = 200,
        form_token: str = "",
    ) -> Response:
        """``form_token``: what the forms of this page prove with that they are of this session."""
        before = show_token(form_token)
        try:
            text = self._of_language[language].get_template(template).render(values)
        finally:
            hide_token(before)
        return secured(HTMLResponse(text, status_code=status))


def _environment(language: str, menus: Mapping[str, Sequence[tuple[str, str]]]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        extensions=["jinja2.ext.i18n", FormTokens],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        age=views.format_age,
        duration=views.format_duration,
        is_digest=views.is_digest,
        latency=views.format_latency,
        node=views.to_node,
        percent=views.percent,
        roughly=views.format_roughly,
        size=views.format_size,
        utc=_utc,
        iso=_iso,
    )
    environment.globals.update(
        asset=_assets(),
        csrf=hidden_field,
        csrf_token=shown_token,
        language=language,
        **menus,
        cost_label=views.cost_label,
        describe_usage=views.describe_usage,
        hardware=views.describe_hardware,
        image_types=views.IMAGE_TYPES,
        money=format_money,
        model_server_of=views.model_server_of,
        slots_of=views.slots_of,
        took=views.took,
    )
    # Newstyle: placeholders are filled, and escaped, by the template.
    environment.install_gettext_translations(translations_for(language, "web"), newstyle=True)  # type: ignore[attr-defined]
    return environment


def _assets() -> dict[str, str]:
    """Addresses of our files by name ("d8.css", "vendor/uPlot.min.css"), each with its digest, so that a new
    build is seen at once."""
    names = {path: path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    return {
        name: f"/static/{name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path, name in names.items()
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
