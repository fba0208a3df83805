"""``scripts/bench console``: what the dashboard costs with years of history and thousands of open pages.

A real master (``d8 up``) over a database with a million events. Every page that the application has is asked
for many times, one request after the other; of each page the 95th percentile is taken, and the worst of them
reported; beside it the processor time that the serving process took for a request, which a machine shared with
others changes less. Then event streams are opened from this process, events are written into the database one by one,
and each listener's delay counts from the commit to the moment at which it has read of it. Memory is that of
the process that serves, before the streams (``web_rss_mib``, ``web_pss_mib``) and with them.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Route

from master.api.app import create_api
from master.capabilities import load_capabilities
from master.descriptors import raise_open_files_limit
from master.events import newest_events, record_event
from master.settings import load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.migrate import migrate
from tests.bench.evolving.bed import put_evolution
from tests.bench.footprint import _command, _family, _field
from tests.bench.history import Size, fill, put_files
from tests.bench.listeners import Crowd
from tests.support import ROOT, Process, free_port, wait_until

#: Answered by the application, and no pages of the owner's: files are none, nor is a client's site.
_NO_PAGES = re.compile(
    r"/(api|docs|worker|login|logout|welcome|events|livez|readyz|metrics|join|invites|releases?)\b|.*{path:path}|.*\.zip$"
)
#: Requests of each page that come first: templates are compiled, connections opened.
_UNCOUNTED = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench console", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--listeners", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=60, help="for each page")
    parser.add_argument("--news", type=int, default=15, help="events that the listeners are told of")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("D8_")]:
        del os.environ[name]
    raise_open_files_limit()
    with tempfile.TemporaryDirectory(prefix="d8-console-", dir="/var/tmp") as folder:
        home = Path(folder) / "home"
        port = free_port()
        os.environ |= {"D8_HOME": str(home), "D8_PORT": str(port), "D8_AGENT_PORT": "0"}
        ids = _prepare(home, options.events)
        addresses, skipped = page_addresses(_routes(Path(folder)), ids)
        with _master(home) as server_pid:
            token = (home / "secrets" / "owner.token").read_text().strip()
            _say(f"{len(addresses)} pages, {options.requests} requests each")
            pages, cpu_ms = {}, {}
            for address in addresses:
                before_s = _cpu_s(server_pid)
                pages[address] = _time_page(port, token, address, options.requests)
                cpu_ms[address] = round(
                    (_cpu_s(server_pid) - before_s) * 1000 / (options.requests + _UNCOUNTED), 1
                )
            figures = _pages_figures(pages) | {"pages_cpu_ms": cpu_ms, "pages_not_measured": skipped}
            figures |= {"web_rss_mib": _mib(server_pid, "Rss:"), "web_pss_mib": _mib(server_pid, "Pss:")}
            figures |= _listen(home, port, token, server_pid, options.listeners, options.news)
    first = ("listeners", "event_delay_p95_s", "page_p95_ms", "web_rss_mib")
    sys.stdout.write(
        json.dumps({key: figures[key] for key in (*first, *sorted(set(figures) - {*first}))}) + "\n"
    )


def page_addresses(routes: list[BaseRoute], ids: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Every GET page that the application has, with real ids for its parameters; and those of whose
    parameters nobody has said any. ``ids``: by the page's path, or by its parameters' names with commas between."""
    found, skipped = [], []
    for route in routes:
        if type(route) is not Route or "GET" not in (route.methods or ()) or _NO_PAGES.match(route.path):
            continue
        names = re.findall(r"{(\w+)", route.path)
        if not names:
            found.append(route.path)
        elif route.path in ids and all(value.startswith("/") for value in ids[route.path]):
            # Whole addresses; none at all where no page can be shown.
            found += ids[route.path]
            skipped += [] if ids[route.path] else [route.path]
        elif values := ids.get(route.path) or ids.get(",".join(names)):
            found += [_filled(route.path, value.split(",")) for value in values]
        else:
            skipped.append(route.path)
    return found, skipped


def _filled(path: str, values: list[str]) -> str:
    """With the query that the last of the values may end with."""
    *others, last = values
    last, mark, query = last.partition("?")
    rest = iter([*others, last])
    return re.sub(r"{[^}]*}", lambda _: next(rest), path) + mark + query


def _routes(folder: Path) -> list[BaseRoute]:
    """Of the application itself, over an empty home: pages that somebody adds are measured, too."""
    settings = load_settings(home=folder / "empty", broker_url="memory://")
    routes: list[BaseRoute] = create_api(settings).routes
    return routes


def _prepare(home: Path, events: int) -> dict[str, list[str]]:
    home.mkdir(parents=True)
    load_capabilities()
    database = Database(load_settings().sqlalchemy_url)
    migrate(database)
    started_s = time.monotonic()
    small = min(1.0, events / 1_000_000)
    size = Size(events=events, largest=int(20_000 * small), ledger_entries=int(6_000 * small))
    ids = put_evolution(database, load_settings(), evals=2000)
    ids |= fill(database, size, until=datetime.now(UTC))
    put_files(ArtifactFolder(load_settings().artifact_folder), ids)
    database.close()
    _say(f"{events} events written in {time.monotonic() - started_s:.0f} s")
    return ids


@contextlib.contextmanager
def _master(home: Path) -> Iterator[int]:
    """``d8 up``; gives the process that serves the dashboard."""
    process = Process(
        [sys.executable, "-m", "master.cli", "up", "--workers", "0", "--no-flower"],
        home.parent / "up.log",
        cwd=ROOT,
    )
    try:
        process.wait_for_line("The master runs", 120)
        yield next(pid for pid in _family([process.pid]) if _command(pid).endswith("-m master.api"))
    finally:
        process.stop(60)
        wait_until(lambda: process.returncode is not None, 60, "the master has ended")


def _time_page(port: int, token: str, address: str, requests: int) -> list[float]:
    """Milliseconds of each request, the body read; after some that are not counted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    taken_ms, length = [], 0
    for number in range(requests + _UNCOUNTED):
        started_s = time.perf_counter()
        connection.request("GET", address, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        text = answer.read()
        length = len(text)
        if answer.status != 200:
            why = re.findall(r'"(?:reason|detail)"[>:]"?([^<"]*)', text.decode(errors="replace"))
            raise SystemExit(f"console: {address} answered {answer.status}: {' '.join(why)}")
        if number >= _UNCOUNTED:
            taken_ms.append((time.perf_counter() - started_s) * 1000)
    connection.close()
    _say(f"  {address}: p95 {_p95(taken_ms):.1f} ms, {length / 1024:.0f} KiB")
    return taken_ms


def _pages_figures(pages: dict[str, list[float]]) -> dict[str, Any]:
    each = {address: round(_p95(taken), 1) for address, taken in pages.items()}
    return {"page_p95_ms": max(each.values()), "pages_p95_ms": each}


def _listen(home: Path, port: int, token: str, pid: int, listeners: int, news: int) -> dict[str, Any]:
    crowd = Crowd("127.0.0.1", port, token)
    database = Database(load_settings().sqlalchemy_url)
    started_s = time.monotonic()
    crowd.gather(listeners, 180)
    _say(f"{crowd.open} streams are open after {time.monotonic() - started_s:.0f} s")
    visits_ms: list[float] = []
    over = threading.Event()
    visitor = threading.Thread(target=_visit, args=(port, token, over, visits_ms))
    visitor.start()
    for _ in range(news):
        _write(database, crowd)
        crowd.listen(2.3)
    over.set()
    visitor.join()
    # What was not heard of by now is late by at least this long.
    wanted = news * crowd.open
    crowd.listen(30, lambda: len(crowd.delays_s) >= wanted)
    figures = {
        "listeners": crowd.open,
        "event_delay_p95_s": round(_p95(crowd.delays_s), 3),
        "event_delay_max_s": round(max(crowd.delays_s), 3),
        "events_heard": round(len(crowd.delays_s) / wanted, 4),
        "home_p95_listening_ms": round(_p95(visits_ms), 1),
        "web_rss_listening_mib": _mib(pid, "Rss:"),
        "web_pss_listening_mib": _mib(pid, "Pss:"),
    }
    crowd.close()
    database.close()
    return figures


def _write(database: Database, crowd: Crowd) -> None:
    with database.write() as connection:
        record_event(connection, "dispatch_resumed", datetime.now(UTC), by="bench")
        seq = newest_events(connection, 1)[0]["seq"]
    crowd.wrote(seq, time.monotonic())


def _visit(port: int, token: str, over: threading.Event, visits_ms: list[float]) -> None:
    """Somebody looks at the first page now and then, while all the others listen."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not over.wait(0.3):
        started_s = time.perf_counter()
        connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
        connection.getresponse().read()
        visits_ms.append((time.perf_counter() - started_s) * 1000)
    connection.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[index]) for index in (11, 12)) / os.sysconf("SC_CLK_TCK")


def _mib(pid: int, name: str) -> float:
    return round(_field(Path(f"/proc/{pid}/smaps_rollup"), name) / 1024, 1)


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
