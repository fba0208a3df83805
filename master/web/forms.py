"""What a form of the dashboard sends, and where its answer leads."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tasks.errors import InvalidInput

#: A reason has 2,000 characters, each at most 12 bytes when encoded.
MOST_BYTES = 32 * 1024
#: By which decisions made here are signed.
DOOR = "dashboard"
#: Pages of one thing, by what a form's field ``back`` calls it.
_PLACES = {"run": "runs", "evolution": "darwin", "study": "niches", "client": "clients"}


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an ordinary form; the last of one name counts."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise InvalidInput(f"the form is larger than {MOST_BYTES} bytes: shorten the reason")
    try:
        return dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20)
        )
    except ValueError:
        raise InvalidInput("the form could not be read: open the page again and repeat it") from None


def back(form: dict[str, str]) -> Response:
    """To the page that the form was on; never anywhere else."""
    place = form.get("back", "")
    kind, _, name = place.partition(":")
    if kind in _PLACES and name:
        return RedirectResponse(f"/{_PLACES[kind]}/{quote(name, safe='')}", status_code=303)
    return RedirectResponse("/approvals" if place == "approvals" else "/", status_code=303)
