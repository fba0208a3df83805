"""``scripts/bench races``: many people answer the same requests at the same time, by every door.

Four processes walk the same requests in step. Each request is answered by two to eight deciders, drawn by
lot: buttons and commands through the Telegram door's own processing, the command line's client and
another program over HTTP against a real API process, and the clock, which expires it. Some
requests cost money, some need two people. Afterwards the database is asked what happened.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from master.capabilities import load_capabilities
from master.settings import load_settings
from master.store import Database
from master.store.migrate import migrate
from tests.bench.answering.acts import PROCESSES, decide_all
from tests.bench.answering.damage import count_damage
from tests.bench.answering.stage import Asked, api, ask, database_url
from tests.support import free_port

_POLICY = """
[PAYMENT]
tiers = [{ above = "100.00 EUR", quorum = 2 }]
[[budgets]]
category = "races"
month = "100000000.00 EUR"
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench races", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server instead of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="d8-races-") as folder, database_url(options.postgres) as url:
        figures = race(Path(folder), options.requests, options.seed, url)
    sys.stdout.write(json.dumps(figures) + "\n")
    if figures["double_decisions"] or figures["double_postings"] or figures["lost"]:
        sys.exit(1)


def race(home: Path, requests: int, seed: int, url: str = "") -> dict[str, int]:
    """Ask, let them race, count. ``url``: of another database than SQLite in the home."""
    for name in [name for name in os.environ if name.startswith("D8_")]:
        del os.environ[name]
    os.environ |= {"D8_HOME": str(home), "D8_PORT": str(free_port()), "D8_BROKER_URL": "memory://"}
    if url:
        os.environ["D8_DATABASE_URL"] = url
    load_capabilities()
    (home / "policy.toml").write_text(_POLICY)
    database = Database(load_settings().sqlalchemy_url)
    migrate(database)
    try:
        asked = ask(database, requests, seed)
        with api(home, database) as tokens:
            _race(asked, seed, tokens)
        with database.read() as connection:
            return count_damage(connection, requests)
    finally:
        database.close()


def _race(asked: list[Asked], seed: int, tokens: dict[int, str]) -> None:
    context = multiprocessing.get_context("spawn")
    meet = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=decide_all, args=(number, meet, asked, seed, tokens))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a process of the race ended with an error: see above")


if __name__ == "__main__":
    main()
