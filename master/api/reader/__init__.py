"""``/api/docs``: the API's description for people, with Swagger UI from our own disk.

The files in ``vendor`` are those of the npm package that ``vendor/SOURCE`` names, unchanged; a test holds them
to their SHA-256.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

_HERE = Path(__file__).parent
#: No file but these is served.
_FILES = {
    "swagger-ui.css": (_HERE / "vendor" / "swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": (_HERE / "vendor" / "swagger-ui-bundle.js", "text/javascript"),
    "start.js": (_HERE / "start.js", "text/javascript"),
}
#: As the dashboard's, with the pictures that Swagger UI's style sheet holds as data.
_POLICY = (
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def reader_routes(api: FastAPI) -> list[Route]:
    """The page, its files, and the document that they read."""

    async def document(_: Request) -> Response:
        # Made at the first wish, which takes seconds on a small machine: off the loop that answers workers.
        return JSONResponse(await run_in_threadpool(api.openapi))

    async def page(_: Request) -> Response:
        return FileResponse(_HERE / "index.html", headers={"Content-Security-Policy": _POLICY})

    def file(name: str) -> Route:
        path, media_type = _FILES[name]

        async def answer(_: Request) -> Response:
            # Asked for again with its ETag at each visit: a new release is seen at once.
            return FileResponse(path, media_type=media_type, headers={"Cache-Control": "no-cache"})

        return Route(f"/api/docs/{name}", answer, methods=["GET"])

    return [
        Route("/api/openapi.json", document, methods=["GET"]),
        Route("/api/docs", page, methods=["GET"]),
        *(file(name) for name in _FILES),
    ]
