"""``scripts/bench ledger``: random operations on one ledger from several processes at once.

Afterwards every entry is gone through again without the ledger's code: sums that are not zero and budgets that
were exceeded at any moment are counted. Then a smaller ledger and the large one are tampered with, and each
tampering is looked for. On SQLite in a temporary folder, or on the database of ``--url`` (an empty one).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select

from master.capabilities import load_capabilities
from master.ledger.tables import ledger_entries
from master.ledger.verify import verify_ledger
from master.store import Database
from master.store.migrate import migrate
from tasks.errors import Refused
from tests.ledger_play import play, play_together, replay, tamperings


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench ledger", description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tamperings", type=int, default=1000, help="on a ledger of a few hundred entries")
    parser.add_argument("--tamperings-of-all", type=int, default=3, help="on the whole ledger, seconds each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", default="", help="SQLAlchemy address of an empty database")
    options = parser.parse_args()
    load_capabilities()
    with tempfile.TemporaryDirectory(prefix="d8-bench-ledger-") as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'large.sqlite3'}"
        print(json.dumps(_measure(url, f"sqlite:///{Path(folder) / 'small.sqlite3'}", options)))


def _measure(url: str, small_url: str, options: argparse.Namespace) -> dict[str, float]:
    large, small = _empty(url), _empty(small_url)
    began = time.monotonic()
    done = play_together(url, processes=options.processes, operations=options.operations, seed=options.seed)
    took_s = time.monotonic() - began
    _say(f"{done.total()} operations in {took_s:.1f} s: {dict(done.most_common())}")
    with large.read() as connection:
        found = replay(connection)
        began = time.monotonic()
        checked = verify_ledger(connection)
        verify_s = time.monotonic() - began
    _say(
        f"{found.entries} entries, fullest budget {found.fullest_pct} %; verified in {verify_s:.1f} s: "
        f"{'sound' if checked.sound else checked.problem}"
    )
    play(small_url, options.seed, 600)
    chance = random.Random(options.seed)
    tried = [
        *tamperings(small, chance, options.tamperings),
        *tamperings(large, chance, options.tamperings_of_all),
    ]
    for what in [what for what, seen in tried if not seen]:
        _say(f"not found: {what}")
    large.close()
    small.close()
    return {
        "operations": done.total(),
        "sum_errors": found.sum_errors + (not checked.sound),
        "budgets_exceeded": found.budgets_exceeded,
        "tampering_found_pct": round(100 * sum(seen for _, seen in tried) / max(1, len(tried)), 2),
        "operations_per_s": round(done.total() / took_s, 1),
    }


def _empty(url: str) -> Database:
    database = Database(url)
    migrate(database)
    with database.read() as connection:
        if connection.execute(select(func.count()).select_from(ledger_entries)).scalar():
            raise Refused(f"the ledger in {url} is not empty: give the address of an empty database")
    return database


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
