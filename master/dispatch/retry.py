"""Whether a failed attempt is followed by another: decided here and nowhere else."""

from __future__ import annotations

import dataclasses

from tasks.protocol import Failure

#: Failures that another attempt may cure.
_RETRIED = frozenset({Failure.TRANSIENT, Failure.DEADLINE, Failure.CRASHED})

#: The wait before the second attempt after a transient failure; doubled for each further one.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
#: A worker that goes away is no fault of the step; but one that takes its whole worker down looks
#: the same, so there is an end to it.
MOST_LOST = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    again: bool
    #: Seconds before the next attempt may be sent.
    wait_s: float = 0.0


def counts(failure: Failure) -> bool:
    """Whether it counts against the step's attempts."""
    return failure is not Failure.LOST


def decide_retry(failure: Failure, *, failures: int, attempt: int, max_attempts: int) -> Verdict:
    """``failures`` counts those that count, this one included; ``attempt`` counts all."""
    if failure is Failure.LOST:
        return Verdict(again=attempt - failures < MOST_LOST)
    if failure not in _RETRIED or failures >= max_attempts:
        return Verdict(again=False)
    if failure is Failure.CRASHED:
        return Verdict(again=True)
    return Verdict(again=True, wait_s=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (failures - 1)))
