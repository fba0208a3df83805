"""What a form of the dashboard sends, and where its answer leads."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.auth import FORM_FIELD, FORM_HEADER
from tasks.errors import InvalidInput

#: A reason has 2,000 characters, each at most 12 bytes when encoded.
MOST_BYTES = 32 * 1024
#: By which decisions made here are signed.
DOOR = "dashboard"
#: Pages of one thing, by what a form's field ``back`` calls it.
_PLACES = {
    "run": "runs",
    "approval": "approvals",
    "evolution": "darwin",
    "study": "niches",
    "client": "clients",
}


async def read_form(request: Request, most_bytes: int = MOST_BYTES) -> dict[str, str]:
    """The fields of an ordinary form; the last of one name counts. Read once, however often it is asked for."""
    known: dict[str, str] | None = getattr(request.state, "d8_form", None)
    if known is not None:
        return known
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise InvalidInput(f"the form is larger than {most_bytes} bytes: shorten what you wrote")
    try:
        form = dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=60)
        )
    except ValueError:
        raise InvalidInput("the form could not be read: open the page again and repeat it") from None
    request.state.d8_form = form
    return form


async def sent_token(request: Request, most_bytes: int = MOST_BYTES) -> str:
    """What the form carries to prove that it is of this session; a header may carry it instead. A form with
    files is read by Starlette, and what it read is kept for whoever asks next."""
    if FORM_HEADER in request.headers:
        return ""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return str((await read_files(request, most_bytes)).get(FORM_FIELD, ""))
    return (await read_form(request, most_bytes)).get(FORM_FIELD, "")


async def read_files(request: Request, most_bytes: int = MOST_BYTES) -> FormData:
    """A form with files. How large it is, is known before any of it is read: a browser says so, and the
    server reads no more than was said. Read once, however often it is asked for."""
    known: FormData | None = getattr(request.state, "d8_files", None)
    if known is not None:
        return known
    size = request.headers.get("content-length", "")
    if not size.isdecimal() or int(size) > most_bytes:
        raise InvalidInput(
            f"the form is larger than {most_bytes / 2**20:.2g} MiB: send a smaller file, or use the command line"
        )
    try:
        form = await request.form(max_files=10, max_fields=60)
    except HTTPException as error:
        raise InvalidInput(
            f"the form could not be read ({error.detail}): open the page again and repeat it"
        ) from None
    request.state.d8_files = form
    return form


def local_place(text: str) -> str:
    """A page of ours, whatever was asked for: never another site."""
    plain = text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text
    return text if plain else "/"


def back(form: dict[str, str]) -> Response:
    """To the page that the form was on; never anywhere else."""
    place = form.get("back", "")
    kind, _, name = place.partition(":")
    if kind in _PLACES and name:
        return RedirectResponse(f"/{_PLACES[kind]}/{quote(name, safe='')}", status_code=303)
    return RedirectResponse("/approvals" if place == "approvals" else "/", status_code=303)
