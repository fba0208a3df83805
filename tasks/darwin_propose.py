"""``darwin.propose``: a generation of CMA-ES, by the library ``cma`` (N. Hansen), which needs NumPy: a
worker has it, the master has not.

The strategy is played back from its seed and from the losses that it was told: nothing is carried between
two steps that a restart could lose, and the same requests give the same vectors to the bit on the same
machine. What was proposed is recorded, so another machine's rounding changes nothing afterwards.
"""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    size: int = Field(ge=2, le=1000)
    low: float
    high: float
    #: First step size, in the vectors' own unit.
    sigma: float = Field(gt=0)
    #: Vectors in a generation.
    population: int = Field(ge=3, le=500)
    seed: int = Field(ge=1, le=2**31)
    #: What each generation so far was worth, vector by vector, the less the better.
    losses: tuple[tuple[float, ...], ...] = ()


class Result(Record):
    #: The next generation; empty when the library itself would stop.
    vectors: tuple[tuple[float, ...], ...]
    #: Why it would, such as "tolfun"; "" while it would go on.
    stopped: str = ""


TASK = TaskSpec(name="darwin.propose", request=Request, result=Result, lanes=("cpu", "gpu"), deadline_s=600)
