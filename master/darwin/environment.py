"""The program that an evolution without examples is judged by: read, never run, on the master. Pure.

It defines ``evaluate(genome)`` and says at its top, as literals, what genomes are and what is wanted::

    GENOME = {"kind": "vector", "size": 5, "low": -5, "high": 5}
    GOALS = ["min"]

    def evaluate(genome):
        return sum(x * x for x in genome)
"""

from __future__ import annotations

import ast
import functools
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from master.darwin.engines.vector import Space
from tasks.errors import InvalidInput
from tasks.record import Record

#: A program is no data set: what it needs to know should fit.
MAX_BYTES = 400_000


class Genomes(Record):
    """What ``GENOME`` says."""

    kind: Literal["vector", "code"]
    #: "vector": see ``Space``.
    size: int = Field(default=1, ge=1, le=10_000)
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    #: "code": first programs, each a text.
    seeds: tuple[str, ...] = Field(default=(), max_length=64)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Genomes:
        if self.kind == "vector":
            self.space  # noqa: B018 (raises if it leaves no room)
        elif not self.seeds:
            raise ValueError("genomes of kind 'code' need at least one program in seeds")
        return self

    @property
    def space(self) -> Space:
        return Space(size=self.size, low=self.low, high=self.high, whole=self.whole)


class Environment(Record):
    """What can be known of a program without running it."""

    genomes: Genomes
    goals: tuple[Literal["min", "max"], ...] = Field(default=("max",), min_length=1, max_length=8)


@functools.lru_cache(maxsize=16)
def read_environment(source: bytes, filename: str) -> Environment:
    """``InvalidInput`` names the line and what to write there. Each pass asks: the last few are remembered."""
    try:
        text = source.decode()
        tree = ast.parse(text)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{filename}: byte {error.start} is not UTF-8: save the program as UTF-8"
        ) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        raise InvalidInput(
            f"{filename}:{line}: not Python ({getattr(error, 'msg', error)}): correct that line and try again"
        ) from None
    if len(source) > MAX_BYTES:
        raise InvalidInput(f"{filename} has {len(source)} bytes: at most {MAX_BYTES} are sent to a sandbox")
    _check_evaluate(tree, filename)
    return _checked(_literals(tree, filename), filename)


def _check_evaluate(tree: ast.Module, filename: str) -> None:
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "evaluate"]
    if not found:
        raise InvalidInput(
            f"{filename}: no function evaluate: define 'def evaluate(genome)', which returns a number, at the "
            "program's top level"
        )
    arguments = found[-1].args
    needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    room = len(arguments.posonlyargs) + len(arguments.args) >= 1 or arguments.vararg is not None
    if needed > 1 or not room or any(default is None for default in arguments.kw_defaults):
        raise InvalidInput(
            f"{filename}:{found[-1].lineno}: evaluate is called with the genome and nothing else: "
            "write 'def evaluate(genome)'"
        )


def _literals(tree: ast.Module, filename: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in tree.body:
        if not isinstance(one, ast.Assign):
            continue
        for target in one.targets:
            if isinstance(target, ast.Name) and target.id in ("GENOME", "GOALS"):
                try:
                    values[target.id] = ast.literal_eval(one.value)
                except ValueError:
                    raise InvalidInput(
                        f"{filename}:{one.lineno}: {target.id} is computed and must be written out: the master "
                        "reads it without running the program"
                    ) from None
    if "GENOME" not in values:
        raise InvalidInput(
            f"{filename}: no GENOME: say what genomes are, such as "
            'GENOME = {"kind": "vector", "size": 5, "low": -5, "high": 5}'
        )
    return values


def _checked(values: dict[str, Any], filename: str) -> Environment:
    try:
        return Environment.model_validate(
            {"genomes": values["GENOME"], **({"goals": values["GOALS"]} if "GOALS" in values else {})}
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        where = where.replace("genomes", "GENOME", 1).replace("goals", "GOALS", 1)
        raise InvalidInput(
            f"{filename}: {where} is not accepted: {first['msg']}. GENOME is a dict with kind 'vector' (size, low, "
            "high, whole) or 'code' (seeds); GOALS a list of 'min' and 'max', one for each number returned"
        ) from None
