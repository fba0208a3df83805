"""What every command uses: the connection to the master, progress, output for people and programs."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tasks.errors import D8Error, Unreachable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: States in which a run needs nobody's patience any more.
ENDED = ("done", "failed", "cancelled")
#: Items asked for at once.
_PAGE = 500


class OtherMaster(Unreachable):
    """The master's answer lacks what this command shows."""


class Answer(dict[str, Any]):
    """An object of the master's. A field that is not there is said to the person, since it is theirs to bring both
    to the same release: it is no mistake of this program."""

    def __missing__(self, name: str) -> Any:
        raise OtherMaster(
            f"the master's answer has no {name!r}: it is of another release than this command. Bring both to the "
            f"same one ('git pull' and a restart of 'd8 up' there, or the master's release here); "
            f"'d8 status --json' shows the build of the master that answers"
        )


class Api:
    """The master's JSON API with the owner's token."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        import urllib3

        self.url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout_s))
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, query=query)

    def items(self, path: str, *, most: int | None = None, **query: Any) -> list[Any]:
        """A list's items, all of them or the first ``most``, page after page."""
        found: list[Any] = []
        cursor: str | None = None
        while most is None or len(found) < most:
            limit = _PAGE if most is None else min(_PAGE, most - len(found))
            page = self.get(path, cursor=cursor, limit=limit, **query)
            if isinstance(page, list):
                # As masters answered before lists had pages.
                return page[:most]
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        return found

    def post(self, path: str, body: Any = None, *, idempotency_key: str = "", **query: Any) -> Any:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._call("POST", path, body=json.dumps(body or {}).encode(), query=query, headers=headers)

    def put(self, path: str, body: Any) -> Any:
        return self._call("PUT", path, body=json.dumps(body).encode())

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        """Keep bytes as an artifact; returns its SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        self._call(
            "PUT", f"/api/artifacts/{digest}", body=data, query={"name": name, "media_type": media_type}
        )
        return digest

    def download(self, digest: str) -> bytes:
        return self._request("GET", f"/api/artifacts/{quote(digest, safe='')}", None, {}, {})

    def text(self, path: str, **query: Any) -> str:
        """What is not JSON: a file to be written or shown as it is."""
        return self._request("GET", path, None, query, {}).decode()

    def _call(
        self, method: str, path: str, *, body: bytes | None = None, query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:  # fmt: skip
        data = self._request(method, path, body, query or {}, headers or {})
        if not data:
            return None
        try:
            return json.loads(data, object_hook=Answer)
        except ValueError:
            raise OtherMaster(
                f"what answers at {self.url} is no D8 master, or one of another release: it answered {method} {path} "
                f"with something that is not JSON. Correct D8_MASTER_URL, or bring both to the same release"
            ) from None

    def _request(
        self, method: str, path: str, body: bytes | None, query: dict[str, Any], headers: dict[str, str]
    ) -> bytes:
        import urllib3

        from tasks.problems import error_from_answer

        wanted = {name: str(value) for name, value in query.items() if value is not None}
        target = self.url + path + ("?" + urlencode(wanted) if wanted else "")
        sent = {**self._headers, "Content-Type": "application/json", **headers}
        try:
            answer = self._pool.request(method, target, body=body, headers=sent)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(
                f"the master at {self.url} does not answer ({type(error).__name__}): start it with 'd8 up', or "
                f"point D8_MASTER_URL at the one that runs"
            ) from error
        if answer.status >= 300:
            raise error_from_answer(answer.status, answer.data, f"{method} {path}")
        return bytes(answer.data)


def connect() -> Api:
    """The API of this home's master, or of ``D8_MASTER_URL``. ``Unreachable`` when none is known."""
    from master.settings import load_settings
    from tasks.files import read_text_or_empty

    settings = load_settings()
    url = settings.find_master_url()
    token = read_text_or_empty(settings.secrets_folder / "owner.token")
    if not url or not token:
        raise Unreachable(
            f"no master has run in {settings.home} yet: start one with 'd8 up', or set D8_HOME to the home of the "
            f"one that runs"
        )
    return Api(url, token, settings.master_timeout_s)


def start_run(api: Api, *, flow: str, params: dict[str, Any], idempotency_key: str = "") -> str:
    """Start a run; returns its id."""
    run_id: str = api.post("/api/runs", {"flow": flow, "params": params}, idempotency_key=idempotency_key)[
        "id"
    ]
    return run_id


def follow_run(api: Api, run_id: str, *, until_waiting: bool = True) -> dict[str, Any]:
    """Show progress until the run ends, or (``until_waiting``) until it waits for a human. A master
    that is away for a while is waited for."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.fields[run]}", style="bold", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[steps]}  {task.description}", markup=False),
        TimeElapsedColumn(),
        console=messages(),
        transient=True,
    ) as progress:
        shown = progress.add_task("starting", total=1.0, run=run_id, steps="")
        while True:
            try:
                run: dict[str, Any] = api.get("/api/runs/" + run_id)
            except Unreachable:
                progress.update(shown, description="the master is away; waiting")
                time.sleep(1.0)
                continue
            progress.update(
                shown,
                completed=run["progress"],
                description=run["note"],
                steps=f"{run['steps_done']}/{run['steps_total']} steps",
            )
            if run["state"] in ENDED or (until_waiting and run["state"] == "waiting"):
                return run
            time.sleep(0.3)


def raise_unless_done(run: dict[str, Any]) -> None:
    """``D8Error`` with the run's own reason when it failed or was cancelled."""
    if run["state"] in ("failed", "cancelled"):
        raise D8Error(f"run {run['id']} {run['state']}: {run['error']}")


def suggest_next(run: dict[str, Any]) -> None:
    """The next useful command, beside the data."""
    if run["state"] == "waiting":
        messages().print(f"{run['id']} waits for you: 'd8 approval list' shows what it asks.")
    elif run["state"] == "failed":
        messages().print(
            f"'d8 run show {run['id']}' says where it failed, 'd8 run retry {run['id']}' goes on from there."
        )
    elif run["state"] in ENDED:
        messages().print(f"'d8 run show {run['id']}' has its steps.")
    else:
        messages().print(
            f"{run['id']} goes on: 'd8 watch' shows the fleet, 'd8 run show {run['id']}' this run."
        )


def emit(data: Any, json_mode: bool, render: Callable[[Any], Any]) -> None:
    """Data on standard output: JSON for programs, whatever ``render`` returns for people."""
    if json_mode:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        return
    shown = render(data)
    if shown is not None:
        _console(stderr=False).print(shown)


def messages() -> Console:
    """For what is said beside the data: standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """Brackets and colons are what somebody wrote, such as a request's title, and never markup: what is
    to be colored comes as ``rich.text.Text``."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, markup=False, emoji=False)


def table(*columns: str) -> Table:
    """A plain table for people."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
