"""The three kinds of answers: how each is written and read, when it fits its question, what it takes up."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from worker.models.kept.keys import KindName
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem

Item = TypeVar("Item", ScoreItem, GenerateItem, str)
Answer = TypeVar("Answer")
Vector = tuple[float, ...]

#: A number in a tuple: its place and, where it is a float, itself.
_FLOAT_BYTES = 32
_INT_BYTES = 8
#: An answer's own object with its fields, and its key and place in the memory.
_EACH_BYTES = 1024
#: By how far a vector of unit length may miss it, after all rounding.
_LENGTH_TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind(Generic[Item, Answer]):
    name: KindName
    form: TypeAdapter[Answer]
    #: Whether this can be the answer to that question.
    fits: Callable[[Item, Answer], bool]
    #: About what it takes up in memory.
    bytes_of: Callable[[Answer], int]

    def write(self, answer: Answer) -> bytes:
        """As JSON."""
        return self.form.dump_json(answer)

    def read(self, item: Item, written: bytes) -> Answer | None:
        """What was written; None where it is not the answer to anything like ``item``."""
        try:
            answer = self.form.validate_json(written, strict=True)
        except ValidationError:
            return None
        return answer if self.fits(item, answer) else None


def _score_fits(item: ScoreItem, scored: Scored) -> bool:
    return len(scored.logprobs) == len(scored.tokens) == len(item.choices)


def _text_fits(item: GenerateItem, generated: Generated) -> bool:
    return 0 <= generated.tokens <= item.max_new_tokens and generated.finish in ("stop", "length")


def _vector_fits(_: str, vector: Vector) -> bool:
    return abs(math.hypot(*vector) - 1) <= _LENGTH_TOLERANCE


SCORE: Kind[ScoreItem, Scored] = Kind(
    name="score",
    form=TypeAdapter(Scored),
    fits=_score_fits,
    bytes_of=lambda scored: _EACH_BYTES + len(scored.logprobs) * (_FLOAT_BYTES + _INT_BYTES),
)
GENERATE: Kind[GenerateItem, Generated] = Kind(
    name="generate",
    form=TypeAdapter(Generated),
    fits=_text_fits,
    bytes_of=lambda generated: _EACH_BYTES + sys.getsizeof(generated.text),
)
EMBED: Kind[str, Vector] = Kind(
    name="embed",
    form=TypeAdapter(tuple[FiniteFloat, ...]),
    fits=_vector_fits,
    bytes_of=lambda vector: _EACH_BYTES + len(vector) * _FLOAT_BYTES,
)
