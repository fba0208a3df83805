"""``scripts/bench taps``: kill -9 of the Telegram door at random points, while people press its buttons.

The door is the real process against a strict Bot API; people press what they see as soon as they see it.
Each kill falls at a random moment of: starting, polling, storing, deciding, recording, editing. At the
end every press that the server took must have had its effect, once.

Last line: ``kills``; ``lost``: requests whose presses did not lead to what they said, or whose known
cards do not show it; ``doubled``: requests with a second decision, execution, outcome, wake-up or posting.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from master.capabilities import load_capabilities
from master.store import Database
from master.store.migrate import migrate
from master.telegram.content import stale_cards
from master.telegram.inbox import InboxState
from master.telegram.tables import telegram_inbox
from tasks.files import ROOT
from tests.bench.tapping.check import count_doubled, count_lost
from tests.bench.tapping.people import USERS, People, ask, policy_text
from tests.integration.bot_api import BotApi

TOKEN = "4242:AAH-secret_of-the-bot"
#: Longest time that a round runs after the door is up.
_ROUND_S = 0.7
_SETTLE_S = 240.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench taps", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    load_capabilities()
    with tempfile.TemporaryDirectory(prefix="d8-taps-") as home:
        print(json.dumps(measure(Path(home), options.kills, random.Random(options.seed))))


def measure(home: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Kill so often, let everything come to rest, and count what is wrong."""
    (home / "policy.toml").write_text(policy_text(), encoding="utf-8")
    database = Database(f"sqlite:///{home / 'd8.sqlite3'}")
    try:
        migrate(database)
        with BotApi(TOKEN) as api:
            people = People(api=api, database=database, chance=chance)
            for number in range(kills):
                _round(home, api, people, chance)
                if (number + 1) % 25 == 0:
                    _say(f"{number + 1} kills, {len(people.acts)} requests, {people.presses} presses")
            _come_to_rest(home, api, database, people)
            orphans = people.orphans()
            lost, doubled = count_lost(people), count_doubled(database, people)
            _say(f"{len(people.acts)} requests, {people.presses} presses, {orphans} unknown second copies")
            return {"kills": kills, "lost": lost, "doubled": doubled}
    finally:
        database.close()


def _round(home: Path, api: BotApi, people: People, chance: random.Random) -> None:
    """One life of the door."""
    polls = api.count("getUpdates")
    with _door(home, api) as process:
        # One in eight dies while it starts.
        early = chance.random() < 0.125
        until_s = time.monotonic() + (chance.uniform(0.0, 1.2) if early else 30.0)
        while time.monotonic() < until_s:
            if not early and api.count("getUpdates") > polls:
                break
            if process.poll() is not None:
                raise AssertionError(f"the door ended by itself with {process.returncode}")
            time.sleep(0.005)
        end_s = time.monotonic() + (0.0 if early else chance.uniform(0.0, _ROUND_S))
        while time.monotonic() < end_s:
            if chance.random() < 0.25 and people.waiting() < 2 * len(USERS):
                ask(people)
            people.look_and_press()
            time.sleep(0.01)
        process.kill()


def _come_to_rest(home: Path, api: BotApi, database: Database, people: People) -> None:
    """Let the door work off everything, with nobody asking anything new."""
    deadline_s = time.monotonic() + _SETTLE_S
    with _door(home, api) as process:
        quiet_since_s = time.monotonic()
        while time.monotonic() < deadline_s and time.monotonic() - quiet_since_s < 3.0:
            busy = people.look_and_press() or api.unconfirmed() or _unfinished(database)
            # What still shows old buttons when all is done is a copy that the door does not know.
            quiet_s = time.monotonic() - quiet_since_s
            if busy or (quiet_s > 1.5 and people.press_orphans()):
                quiet_since_s = time.monotonic()
            time.sleep(0.05)
        process.terminate()
        process.wait(20)


def _unfinished(database: Database) -> bool:
    with database.read() as connection:
        waiting = select(telegram_inbox.c.update_id).where(telegram_inbox.c.state == InboxState.WAITING)
        return connection.execute(waiting).first() is not None or bool(stale_cards(connection))


@contextlib.contextmanager
def _door(home: Path, api: BotApi) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("D8_")}
    environment |= {
        "D8_HOME": str(home),
        "D8_TELEGRAM_TOKEN": TOKEN,
        "D8_TELEGRAM_USERS": ",".join(str(user) for user in USERS),
        "D8_TELEGRAM_API_URL": api.url,
        "PYTHONPATH": str(ROOT),
    }
    with (home / "door.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "master.telegram"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
