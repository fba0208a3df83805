"""One seed: work is submitted, faults strike at moments that the seed chose, and everything must end well."""

from __future__ import annotations

import random
import time

from tests.faults.checks import Findings, examine
from tests.faults.faults import FAULTS, Play, heal
from tests.faults.stage import Stage
from tests.support import wait_until

#: (steps, seconds each): short ones in plenty, and some that are likely to be hit.
_WORK = ((330, 0.0), (140, 0.02), (30, 0.3), (6, 1.5))
STEPS = sum(steps for steps, _ in _WORK)
_LONGEST_S = 240.0


class Struck:
    """A fault that struck, and how long the fleet took to be whole and at work again."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.recovered_s = 0.0


def play_seed(stage: Stage, seed: int, only: str = "") -> tuple[Findings, list[Struck]]:
    """Everything about it follows from the seed, but for the moments at which processes meet."""
    chance = random.Random(seed)
    runs = [
        stage.submit("noop", {"steps": steps, "duration_s": seconds}, f"seed-{seed}-{steps}")
        for steps, seconds in _WORK
    ]
    play = Play(stage=stage, chance=chance, runs=list(runs), seed=seed)
    names = [only] if only else chance.sample(sorted(FAULTS), chance.choice((1, 1, 2, 3)))
    moments = sorted(chance.randint(5, int(STEPS * 0.7)) for _ in names)
    struck = []
    for name, moment in zip(names, moments, strict=True):
        _await_moment(stage, runs, moment)
        struck.append(_strike(play, name))
    heal(stage)
    _await_end(stage, play.runs)
    stage.wait_whole()
    return examine(stage, play.runs), struck


def _strike(play: Play, name: str) -> Struck:
    struck = Struck(name)
    before = play.stage.count_outcomes(play.runs)
    began = time.monotonic()
    FAULTS[name](play)

    def at_work() -> bool:
        now = play.stage.count_outcomes(play.runs)
        return now > before or now >= STEPS

    wait_until(at_work, _LONGEST_S, f"the fleet works on after: {name}")
    struck.recovered_s = time.monotonic() - began
    return struck


def _await_moment(stage: Stage, runs: list[str], outcomes: int) -> None:
    """Counted in what the fleet has done, so that it does not depend on the machine's speed."""
    wait_until(lambda: stage.count_outcomes(runs) >= outcomes, _LONGEST_S, f"{outcomes} outcomes")


def _await_end(stage: Stage, runs: list[str]) -> None:
    def ended() -> bool:
        with stage.sql() as cursor:
            cursor.execute(
                "SELECT count(*) FROM runs WHERE id = ANY(%s) AND state IN ('running', 'waiting')", (runs,)
            )
            return int(cursor.fetchone()[0]) == 0

    def diagnose() -> str:
        with stage.sql() as cursor:
            cursor.execute(
                "SELECT id, run_id, key, state, attempt, worker, sent_to, lane, build, rings, ring_at, error"
                " FROM steps WHERE run_id = ANY(%s) AND state NOT IN ('done', 'failed') LIMIT 10",
                (runs,),
            )
            return "\n".join(str(row) for row in cursor.fetchall())

    wait_until(ended, _LONGEST_S, "every run ends", diagnose)
