"""A client's site, shown in a frame: pages that a worker made, and that are never ours.

What is in a site is not trusted, so it must not run, and must not be taken for a page of the dashboard:

- Every answer carries the policy ``sandbox``: the browser gives the page an origin of its own, which has no
  cookies, no storage and no access to the dashboard, and runs no script in it, in the frame or in a tab.
- Nothing but the site's own pictures, sheets and fonts is loaded, no form is sent, nothing else may frame it.
- Its address is its key. A sandboxed page is a stranger to us, so the browser sends no cookie for what it
  loads; instead the address holds a ticket for exactly one site, signed with a key that this process made
  and that ends within a day. No ticket, no answer.
- Files come out of the verified artifact by exact name: there is no path on the disk to climb out of.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from master.api.services import Services
from master.clients.folder import read_site
from master.clients.reading import Version, look_at_project
from master.tokens import Principal
from tasks.errors import D8Error, NotFound

#: A ticket is good until the end of the next span, so that a page's address stays the same for a while.
_SPAN_S = 6 * 3600

POLICY = (
    "sandbox; default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
#: What a browser is told that a file is; anything else is only bytes.
_TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon",
    ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8", ".xml": "text/plain; charset=utf-8",
}  # fmt: skip


class Sites:
    """Gives tickets to the project's page, and answers for whoever brings one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._key = secrets.token_bytes(32)

    def ticket(self, site: str, now: datetime) -> str:
        """For ``/sites/{ticket}/``, where the site of this artifact is shown, for some hours."""
        ends = (int(now.timestamp()) // _SPAN_S + 2) * _SPAN_S
        return f"{ends:x}-{site}-{self._sign(ends, site)}"

    def _sign(self, ends: int, site: str) -> str:
        mac = hmac.new(self._key, f"site:{ends}:{site}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac[:24]).decode().replace("-", ".")

    def _open(self, ticket: str, now: datetime) -> str:
        """The artifact that the ticket is for. ``NotFound`` for one that is not ours or has ended."""
        ends_hex, _, rest = ticket.partition("-")
        site, _, mac = rest.partition("-")
        try:
            ends = int(ends_hex, 16)
        except ValueError:
            ends = 0
        right = self._sign(ends, site)
        if not hmac.compare_digest(mac.encode(), right.encode()) or ends <= now.timestamp():
            raise NotFound("this address of the site has ended: open the project's page again")
        return site

    @property
    def route(self) -> Route:
        return Route("/sites/{ticket}/{path:path}", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        path = request.path_params["path"] or "index.html"
        try:
            site = self._open(request.path_params["ticket"], self._services.clock())
            files = await run_in_threadpool(lambda: read_site(self._services.folder.read(site)))
        except D8Error as error:
            return PlainTextResponse(str(error), status_code=404, headers=HEADERS)
        found = files.get(path)
        if found is None:
            missing = files.get("404.html")
            text = missing if missing is not None else b"There is no such page in this site."
            return Response(
                text, status_code=404, headers=HEADERS, media_type=type_of("404.html" if missing else "")
            )
        return Response(found, headers=HEADERS, media_type=type_of(path))

    async def answer_zip(self, request: Request, _: Principal) -> Response:
        """``/clients/{client_id}/site-{number}.zip``: one version as it is."""
        client_id, number = request.path_params["client_id"], request.path_params["number"]
        version = await self._services.read(
            lambda connection: find_version(
                look_at_project(connection, client_id, self._services.settings.output)["versions"], number
            )
        )
        if version is None:
            raise NotFound(f"project {client_id[:60]} has no version {number}: its page lists them")
        data = await run_in_threadpool(lambda: self._services.folder.read(version.site))
        name = "".join(each for each in client_id if each.isascii() and (each.isalnum() or each == "-"))
        disposition = f'attachment; filename="{name}-{number}.zip"'
        return Response(data, media_type="application/zip", headers={"Content-Disposition": disposition})


def find_version(versions: list[Version], number: int) -> Version | None:
    return next((one for one in versions if one.number == number), None)


def type_of(path: str) -> str:
    """By the ending; a file of an unknown kind is not shown."""
    ending = path[path.rfind(".") :] if "." in path else ""
    return _TYPES.get(ending, "application/octet-stream")
