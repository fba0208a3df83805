"""Whether a failed attempt is followed by another: decided here and nowhere else."""

from __future__ import annotations

import dataclasses

from tasks.protocol import Failure

#: Failures that another attempt may cure.
_RETRIED = frozenset({Failure.TRANSIENT, Failure.DEADLINE, Failure.LOST})

#: The wait before the second attempt after a transient failure; doubled for each further one.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    again: bool
    #: Seconds before the next attempt may be sent.
    wait_s: float = 0.0


def decide_retry(failure: Failure, failures: int, max_attempts: int) -> Verdict:
    """``failures`` counts this one. A lost worker is no fault of the step: its next attempt need not
    wait, but it counts, since a step that kills its worker looks the same.
    """
    if failure not in _RETRIED or failures >= max_attempts:
        return Verdict(again=False)
    if failure is Failure.LOST:
        return Verdict(again=True)
    return Verdict(again=True, wait_s=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (failures - 1)))
