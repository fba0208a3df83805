"""Which columns of a data set hold the input, what is expected, and the split. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tasks.darwin_genome import Kind
from tasks.errors import InvalidInput

#: Names by which the columns are known without being told; the first is taken before all others.
INPUT_NAMES = (
    "input", "text", "question", "message", "sentence", "prompt", "review", "content", "document", "body",
    "texto", "mensaje", "pregunta",
)  # fmt: skip
EXPECTED_NAMES = (
    "expected", "label", "output", "answer", "answers", "target", "class", "category", "intent", "sentiment",
    "topic", "score", "rating", "etiqueta", "respuesta",
)  # fmt: skip
SPLIT_NAMES = ("split", "partition")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is to be read. Columns that are not named are found by their usual names."""

    kind: Kind = "classify"
    input: str = ""
    #: Several only to extract: the object then has these columns as its fields.
    expected: tuple[str, ...] = ()
    split: str = ""
    #: "extract" only: the JSON Schema of the object, as JSON; "" for one made from the examples.
    json_schema: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Names as the file has them."""

    input: str
    expected: tuple[str, ...]
    #: "" where the file has none.
    split: str


def find_columns(present: Sequence[str], reading: Reading, place: str) -> Columns:
    """The columns to read among those ``present``; ``place`` ("data.csv:1") begins every refusal."""
    if len(reading.expected) > 1 and reading.kind != "extract":
        raise InvalidInput(
            f"{place}: {len(reading.expected)} columns are named for what is expected, and the task "
            f"{reading.kind!r} has one: name one, or take the task extract to get an object of them"
        )
    named = [one for one in (reading.input, *reading.expected, reading.split) if one]
    if missing := [one for one in named if one not in present]:
        raise InvalidInput(f"{place}: there is no field {missing[0]!r}: {_those(present)}; name one of them")
    given = _find(present, reading.input, INPUT_NAMES, "input", place)
    expected = reading.expected or (_find(present, "", EXPECTED_NAMES, "expected", place, given),)
    if given in expected:
        raise InvalidInput(f"{place}: the column {given!r} is named as the input and as what is expected")
    return Columns(input=given, expected=expected, split=reading.split or find_split(present))


def find_split(present: Sequence[str]) -> str:
    """The column that divides the examples, by its usual names; "" if there is none."""
    return next((one for one in present if one.strip().lower() in SPLIT_NAMES), "")


def _find(
    present: Sequence[str], named: str, names: tuple[str, ...], what: str, place: str, taken: str = ""
) -> str:
    if named:
        return named
    known = {one.strip().lower(): one for one in reversed(present) if one != taken}
    if names[0] in known:
        return known[names[0]]
    found = [known[name] for name in names if name in known]
    if len(found) > 1:
        raise InvalidInput(
            f"{place}: {' and '.join(map(repr, found))} could each be the field {what!r}: rename one to "
            f"{what}, or name it with --{what}"
        )
    if not found:
        raise InvalidInput(
            f"{place}: no field {what!r}: {_those(present)}; rename one to {what}, or name it with --{what}"
        )
    return found[0]


def _those(present: Sequence[str]) -> str:
    shown = ", ".join(repr(one[:40]) for one in present[:12])
    return f"the fields are {shown}{' ...' if len(present) > 12 else ''}" if present else "it has none"
