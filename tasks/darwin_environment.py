"""``darwin.environment``: a program scores genomes, in the sandbox.

The program defines ``evaluate(genome)``, which returns a number, or several (``GOALS`` of them). It is
started once for the whole lot, so what it prepares at its top is paid once. A genome that makes it raise,
or take too long, fails by itself.
"""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import Field

from tasks.errors import PermanentFailure
from tasks.python_execute import Limits
from tasks.record import Record
from tasks.spec import TaskSpec

#: Genomes in one step, at most.
MOST_GENOMES = 256


class Request(Record):
    #: sha256 of the program's artifact.
    program: str = Field(min_length=64, max_length=64)
    #: As JSON: lists of numbers, or source code.
    genomes: tuple[Any, ...] = Field(min_length=1, max_length=MOST_GENOMES)
    #: Numbers that ``evaluate`` returns.
    objectives: int = Field(default=1, ge=1, le=8)
    #: For one genome; the step's own limit is on top.
    seconds: float = Field(default=60.0, gt=0, le=3600)
    trusted: bool = False
    #: One of ``tasks.python_execute.EXECUTORS``; empty for the safest that the worker has.
    executor: str = Field(default="", pattern="^(docker|venv|native)?$")
    limits: Limits = Limits()


class Outcome(Record):
    """What became of one genome."""

    #: As the program returned them; empty if it failed.
    values: tuple[float, ...] = ()
    #: Why there are none; "" if there are.
    error: str = Field(default="", max_length=2000)
    seconds: float = Field(default=0.0, ge=0)


class Result(Record):
    #: In the request's order.
    outcomes: tuple[Outcome, ...]
    seconds: float


TASK = TaskSpec(
    name="darwin.environment", request=Request, result=Result, lanes=("cpu", "gpu"), deadline_s=3700
)

#: What is put behind the program. It finds the genomes in ``inputs``; each has its own time.
_HARNESS = """
def _d8_run():
    import signal, time
    outcomes = []
    class _TooLong(BaseException):
        pass
    def _ring(*_):
        raise _TooLong
    signal.signal(signal.SIGALRM, _ring)
    for genome in inputs["genomes"]:
        began = time.perf_counter()
        values, error = [], ""
        signal.setitimer(signal.ITIMER_REAL, inputs["seconds"])
        try:
            found = evaluate(genome)
            values = [float(one) for one in found] if isinstance(found, (list, tuple)) else [float(found)]
        except _TooLong:
            error = f"it took longer than {inputs['seconds']:g} s for this genome"
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"[:1500]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        outcomes.append({"values": [repr(one) for one in values], "error": error,
                         "seconds": time.perf_counter() - began})
    return {"outcomes": outcomes}

outputs = _d8_run()
"""


def whole_program(program: str) -> str:
    """What the sandbox runs: the program, and behind it what calls it."""
    return program + "\n" + _HARNESS


def read_outputs(outputs: dict[str, Any], request: Request) -> tuple[Outcome, ...]:
    """What came out, checked: the program is not trusted. ``PermanentFailure`` if it is no answer."""
    found = outputs.get("outcomes")
    if not isinstance(found, list) or len(found) != len(request.genomes):
        raise PermanentFailure(
            f"the environment left {json.dumps(outputs)[:200]} instead of an outcome for each of "
            f"{len(request.genomes)} genomes: does it set a variable called outputs or leave early?"
        )
    return tuple(_outcome(one, request.objectives) for one in found)


def _outcome(one: Any, objectives: int) -> Outcome:
    try:
        error = str(one["error"])[:2000]
        seconds = max(0.0, float(one["seconds"]))
        values = tuple(float(value) for value in one["values"])
    except (KeyError, TypeError, ValueError) as wrong:
        return Outcome(error=f"the environment's answer cannot be read: {wrong}")
    if error:
        return Outcome(error=error, seconds=seconds)
    if len(values) != objectives:
        return Outcome(
            error=f"evaluate returned {len(values)} numbers and the program's GOALS names {objectives}",
            seconds=seconds,
        )
    if not all(math.isfinite(value) for value in values):
        return Outcome(error=f"evaluate returned {values}: scores are finite numbers", seconds=seconds)
    return Outcome(values=values, seconds=seconds)
