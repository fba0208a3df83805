"""All checks at the same time, each with its time limit: the whole takes a few seconds at most."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from master.cli.doctor import fleet, home, machine, parts, rabbitmq
from master.cli.doctor.ground import Finding, Ground, look, missing
from tasks.errors import D8Error, Unreachable

Check = Callable[[Ground], Finding | None]

#: From the machine up to the fleet. A check that does not concern this machine finds nothing (None).
CHECKS: dict[str, Check] = {
    **machine.CHECKS,
    **home.CHECKS,
    **parts.CHECKS,
    **rabbitmq.CHECKS,
    **fleet.CHECKS,
}
#: What a check has; those that ask somebody give up sooner by themselves.
LIMIT_S = 4.0


def examine(ground: Ground, checks: dict[str, Check] = CHECKS, limit_s: float = LIMIT_S) -> list[Finding]:
    """What each check found, in the checks' order. Each is quick and changes nothing."""
    answers: queue.SimpleQueue[tuple[str, Finding | None]] = queue.SimpleQueue()

    def work(name: str, check: Check) -> None:
        answers.put((name, _attempt(name, check, ground)))

    for name, check in checks.items():
        # A daemon: one that hangs does not keep the command from ending.
        threading.Thread(target=work, args=(name, check), daemon=True).start()
    found: dict[str, Finding | None] = {}
    until = time.monotonic() + limit_s
    while len(found) < len(checks):
        try:
            name, finding = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[name] = finding
    late = {
        name: look(name, f"no answer within {limit_s:g} s", "try again when the machine is less busy")
        for name in checks
        if name not in found
    }
    return [finding for name in checks if (finding := {**late, **found}[name]) is not None]


def _attempt(name: str, check: Check, ground: Ground) -> Finding | None:
    try:
        return check(ground)
    except Unreachable:
        # The check "master" says so.
        return None
    except D8Error as error:
        return missing(name, str(error), "see there")
    except Exception as error:  # noqa: BLE001 (a check that fails must not hide what the others found)
        return look(
            name, f"could not be checked: {type(error).__name__}: {error}", "report it: this is a fault of d8"
        )
