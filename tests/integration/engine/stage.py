"""The engine on a tiny model: backends, what they are asked, and the plain arithmetic to compare with."""

from __future__ import annotations

import random

from tests.integration.tiny_model import words
from worker.models.native.backend import CausalBackend
from worker.models.native.causal import CausalModel
from worker.models.native.engine import Engine
from worker.models.native.plain import PlainDecodeQueue
from worker.models.protocol import Generated, GenerateItem
from worker.models.stats import Counters
from worker.models.wire import DescribeReply

DESCRIPTION = DescribeReply(model="tiny", sha256="0", dtype="float32", device="cpu")


def backend_of(model: CausalModel, engine: Engine, counters: Counters | None = None) -> CausalBackend:
    return CausalBackend(model, DESCRIPTION, engine, counters or Counters())


def generate_items(count: int) -> list[GenerateItem]:
    chance = random.Random(5)
    agents = [words(chance, 100), words(chance, 60)]
    return [
        GenerateItem(
            prompt=agents[number % 2] + words(chance, 1 + number % 7),
            max_new_tokens=chance.randint(1, 40),
            temperature=(0.0, 0.7, 1.5)[number % 3],
            top_p=(1.0, 0.9)[number % 2],
            top_k=(0, 0, 20)[number % 3],
            seed=number,
        )
        for number in range(count)
    ]


def alone(model: CausalModel, items: list[GenerateItem]) -> list[Generated]:
    """Each text generated plainly, one at a time, in an engine of its own."""
    engine = Engine()
    backend = backend_of(model, engine)
    backend._decoding = PlainDecodeQueue(model, Counters())
    try:
        return [backend.generate([item]).result(timeout=60).results[0] for item in items]
    finally:
        engine.stop()
