"""In and out of the dashboard: a code or a password becomes a cookie, the cookie is given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from master.api.auth import COOKIE, Gatekeeper, check_origin
from master.owners.accounts import WrongCode, has_owner
from master.owners.desk import Visitor, WrongLogin
from master.owners.passwords import WeakPassword
from master.owners.sessions import ABSOLUTE, end_session_of
from master.tokens import Principal
from master.web.door import Door
from master.web.forms import read_form
from master.web.pages import secured
from tasks.errors import D8Error

Answer = Callable[[Request], Awaitable[Response]]


def session_routes(door: Door, gatekeeper: Gatekeeper) -> list[BaseRoute]:
    """``/welcome``, ``/login`` and ``/logout``."""
    desk = gatekeeper.desk

    async def get_login(request: Request) -> Response:
        """``/login?code=...``: a link of ``d8 dashboard``. A HEAD request, such as a link preview's, uses
        nothing up."""
        code = request.query_params.get("code", "") if request.method == "GET" else ""
        token = await desk.use_code(code, visitor_of(request)) if code else None
        if token is not None:
            return enter(request, token)
        return await _show_login(door, request, wrong="code" if code else "")

    async def post_login(request: Request) -> Response:
        check_origin(request)
        form = await read_form(request)
        name = form.get("name", "")
        try:
            return enter(request, await desk.log_in(name, form.get("password", ""), visitor_of(request)))
        except WrongLogin:
            return await _show_login(door, request, name=name, wrong="login")

    async def get_welcome(request: Request) -> Response:
        """The code of the link is shown, and used up only by the form."""
        return await _show_welcome(door, request, code=request.query_params.get("code", "")[:100])

    async def post_welcome(request: Request) -> Response:
        check_origin(request)
        form = await read_form(request)
        code, name, password = (form.get(field, "") for field in ("code", "name", "password"))
        if password != form.get("again", ""):
            return await _show_welcome(door, request, code=code, name=name, wrong="again")
        try:
            return enter(request, await desk.welcome(code, name, password, visitor_of(request)))
        except D8Error as error:
            # With what was entered still there, except for the password.
            told = await door.show_error(request, error)
            wrong = _what_is_wrong(error)
            shown = await _show_welcome(door, request, code=code, name=name, wrong=wrong, error=str(error))
            shown.status_code = told.status_code
            if "retry-after" in told.headers:
                shown.headers["Retry-After"] = told.headers["retry-after"]
            return shown

    async def leave(request: Request, _: Principal) -> Response:
        token = request.cookies.get(COOKIE, "")
        await door.services.write(lambda connection: end_session_of(connection, token))
        gatekeeper.forget()
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    return [
        _open(door, "/login", get_login, "GET"),
        _open(door, "/login", post_login, "POST"),
        _open(door, "/welcome", get_welcome, "GET"),
        _open(door, "/welcome", post_welcome, "POST"),
        door.guarded("/logout", leave, "POST"),
    ]


def visitor_of(request: Request) -> Visitor:
    return Visitor(
        address=request.client.host if request.client else "",
        agent=request.headers.get("user-agent", ""),
        token=request.cookies.get(COOKIE, ""),
    )


def enter(request: Request, token: str) -> Response:
    """To the first page, with a cookie that no script can read and no other site's page sends."""
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(ABSOLUTE.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return secured(response)


def _open(door: Door, path: str, answer: Answer, method: str) -> Route:
    """For whoever comes; an error becomes a page."""

    async def endpoint(request: Request) -> Response:
        try:
            return secured(await answer(request))
        except D8Error as error:
            return await door.show_error(request, error)

    return Route(path, endpoint, methods=[method])


def _what_is_wrong(error: D8Error) -> str:
    """What the page has words for, in the reader's language; "" for the rest."""
    if isinstance(error, WeakPassword):
        return error.why
    return "code" if isinstance(error, WrongCode) else ""


async def _show_login(door: Door, request: Request, *, name: str = "", wrong: str = "") -> Response:
    """``wrong``: code or login."""
    values = {"first_run": not await door.services.read(has_owner), "name": name[:63], "wrong": wrong}
    return door.render(request, "login.html", values, status=401 if wrong else 200)


async def _show_welcome(
    door: Door, request: Request, *, code: str = "", name: str = "", wrong: str = "", error: str = ""
) -> Response:
    """``wrong``: what the page has words for; ``error``: the words for anything else."""
    values = {
        "first_run": not await door.services.read(has_owner),
        "code": code[:100],
        "name": name[:63],
        "wrong": wrong,
        "error": error,
    }
    return door.render(request, "welcome.html", values, status=422 if wrong or error else 200)
