"""The designer: the site's drawings."""

from __future__ import annotations

from tasks.client_draw import Request, Result
from tasks.client_look import Artwork
from worker.handlers.client_site.drawing import draw_favicon, draw_hero, draw_logo
from worker.handlers.context import Context

_SVG = "image/svg+xml"


def handle(request: Request, context: Context) -> Result:
    def keep(name: str, drawing: str) -> str:
        return context.write_artifact(name, drawing.encode("utf-8"), _SVG)

    return Result(
        artwork=Artwork(
            logo_sha256=keep("logo.svg", draw_logo(request.name, request.look)),
            hero_sha256=keep("hero.svg", draw_hero(request.look, request.seed)),
            favicon_sha256=keep("favicon.svg", draw_favicon(request.name, request.look)),
        )
    )
