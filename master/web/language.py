"""Which language the pages speak: the browser's, until somebody chooses."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from master.api.auth import check_origin
from master.locale import LANGUAGES
from master.web.door import LANGUAGE_COOKIE, Door
from master.web.forms import local_place, read_form
from master.web.pages import secured
from tasks.errors import D8Error, InvalidInput

_YEAR_S = 365 * 86400


def language_route(door: Door) -> Route:
    """``POST /language``. For whoever has no session, too: it changes nothing but a cookie of their own."""

    async def choose(request: Request) -> Response:
        try:
            check_origin(request)
            form = await read_form(request)
            language = form.get("language", "")
            if language not in LANGUAGES:
                raise InvalidInput(f"these pages speak {' and '.join(LANGUAGES)}, not {language[:20]!r}")
            response = RedirectResponse(local_place(form.get("back", "")), status_code=303)
            response.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=_YEAR_S,
                path="/",
                httponly=True,
                samesite="lax",
                secure=request.url.scheme == "https",
            )
            return secured(response)
        except D8Error as error:
            return await door.show_error(request, error)

    return Route("/language", choose, methods=["POST"])
