"""Which executor a request gets. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import PermanentFailure
from tasks.python_execute import DOCKER, EXECUTORS


def choose_executor(wish: str, *, trusted: bool, allowed: Sequence[str]) -> str:
    """The executor to use. ``PermanentFailure`` says what forbids the request: no retry can help."""
    if not trusted and wish not in ("", DOCKER):
        raise PermanentFailure(
            f"this code is not trusted and may only run in Docker, the request asks for {wish!r}: leave the "
            f"executor out, or say trusted if you wrote the code"
        )
    possible = [name for name in EXECUTORS if name in allowed and (trusted or name == DOCKER)]
    if wish and wish not in possible:
        raise PermanentFailure(
            f"the executor {wish!r} is not allowed on this worker (D8_EXECUTORS is {', '.join(allowed) or 'empty'})"
        )
    if not possible:
        raise PermanentFailure(
            f"no executor of this worker may run this code (D8_EXECUTORS is {', '.join(allowed) or 'empty'}, and "
            f"code that is not trusted needs docker): allow one there, or send it elsewhere"
        )
    return wish or possible[0]


def parse_executors(text: str) -> tuple[str, ...]:
    """The setting's names, the safest first. ``ValueError`` names one that does not exist."""
    names = {name for name in text.replace(",", " ").split() if name}
    if unknown := names - set(EXECUTORS):
        raise ValueError(f"there is no executor {sorted(unknown)[0]!r}: choose among {', '.join(EXECUTORS)}")
    return tuple(name for name in EXECUTORS if name in names)
