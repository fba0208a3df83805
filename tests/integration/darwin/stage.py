"""Small corpora, and what a handler is given, with a real model behind it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tasks.darwin_evaluate import Request, Result
from tasks.darwin_genome import Corpus, Example, Genome, Index
from worker.handlers import darwin_evaluate
from worker.models.client import ModelClient

BILLS = (("Ana", 12), ("Luis", 30), ("Eva", 7), ("Marta", 45), ("Ivan", 18), ("Rosa", 9))
CAPITALS = (
    ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Germany", "Berlin"), ("Japan", "Tokyo"),
)  # fmt: skip


def corpus(kind: str, pairs: list[tuple[str, str]], **fields: Any) -> Corpus:
    """The first half is the pool, the rest selects."""
    examples = tuple(
        Example(input=text, expected=expected, split="pool" if at < len(pairs) // 2 else "selection")
        for at, (text, expected) in enumerate(pairs)
    )
    return Corpus.model_validate({"kind": kind, "examples": examples, **fields})


TOPICS = corpus(
    "classify",
    [("I was charged twice.", "billing"), ("A table for two, please.", "booking")] * 2
    + [("The invoice is wrong.", "billing"), ("Can I reserve for Friday?", "booking")],
    labels=("billing", "booking"),
)
EXTRACT = corpus(
    "extract",
    [(f"{name} owes us {sum_} euros.", json.dumps({"amount": sum_, "name": name})) for name, sum_ in BILLS],
    json_schema=json.dumps(
        {
            "type": "object",
            "properties": {"amount": {"type": "integer"}, "name": {"type": "string", "maxLength": 12}},
            "required": ["amount", "name"],
            "additionalProperties": False,
        }
    ),
)
ANSWERS = corpus("answer", [(f"What is the capital of {land}?", city) for land, city in CAPITALS])
SCORES = corpus(
    "score",
    [(f"{'good ' * (at % 3)}book", str(at % 3)) for at in range(6)],
    low=0,
    high=2,
)


class RealContext:
    """What a handler is given, with artifacts in memory and the real model server."""

    attempt = 1
    worker = "test-worker"

    def __init__(self, models: ModelClient) -> None:
        self.models = models
        self.artifacts: dict[str, bytes] = {}

    def progress(self, fraction: float, note: str = "") -> None:
        assert 0 <= fraction <= 1

    def read_artifact(self, digest: str) -> bytes:
        return self.artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str = "") -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        return digest

    def evaluate(self, data: Corpus, genome: Genome, **fields: Any) -> Result:
        pool = data.ids("pool")
        index = Index(
            neighbors=tuple(tuple(at for at in pool if at != one) for one in range(len(data.examples)))
        )
        request = Request(
            genome=genome,
            corpus=self.write_artifact("corpus", data.model_dump_json().encode()),
            index=self.write_artifact("index", index.model_dump_json().encode()),
            **{"examples": data.ids("selection"), **fields},
        )
        return darwin_evaluate.handle(request, self)
