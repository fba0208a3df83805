"""An evolution played back from its records: the same asks and tells give the same engine. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from master.darwin.engines.protocol import Ask, Engine, Outcome
from tasks.errors import D8Error

G = TypeVar("G")


def replay(
    engine: Engine[G], told: Iterable[tuple[int, int, Outcome]], pending: Iterable[tuple[int, int]] = ()
) -> list[Ask[G]]:
    """Ask and tell a new engine as the records say; returns its asks.

    ``told``: (ask number, how many had been told when it was asked, what became of it), in the order in
    which they were told. ``pending``: the first two of what was asked and never told. ``D8Error`` when the
    engine asks less than was recorded: it is another one, or has other rules.
    """
    log = list(told)
    asked_after = sorted([after for _, after, _ in log] + [after for _, after in pending])
    asks: list[Ask[G]] = []

    def ask_until(count: int) -> None:
        while len(asks) < len(asked_after) and asked_after[len(asks)] <= count:
            made = engine.ask()
            if made is None or made.number != len(asks):
                raise D8Error(
                    f"played back, the engine makes ask {made.number if made else 'none'} where the records have "
                    f"ask {len(asks)}, after {count} tells: these records are of another engine or other rules"
                )
            asks.append(made)

    for count, (number, _, outcome) in enumerate(log):
        ask_until(count)
        engine.tell(number, outcome)
    ask_until(len(log))
    return asks
