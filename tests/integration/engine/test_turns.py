"""Who is computed before whom."""

from __future__ import annotations

import dataclasses

from tests.integration.engine.stage import backend_of
from tests.integration.tiny_model import tiny_model
from worker.models.native.causal import CPU_BUDGET
from worker.models.native.engine import Engine
from worker.models.protocol import GenerateItem, ScoreItem


def test_the_urgent_overtakes_what_waits(engine: Engine) -> None:
    model = tiny_model(dataclasses.replace(CPU_BUDGET, rows=1))
    backend = backend_of(model, engine)
    ended: list[str] = []
    items = {
        "first": GenerateItem(prompt="a", max_new_tokens=100, ignore_end=True),
        "later": GenerateItem(prompt="b", max_new_tokens=1),
        "urgent": GenerateItem(prompt="c", max_new_tokens=1, priority=5),
    }
    futures = []
    for name, item in items.items():
        future = backend.generate([item])
        future.add_done_callback(lambda _, name=name: ended.append(name))
        futures.append(future)
    for future in futures:
        future.result(timeout=60)

    assert ended.index("urgent") < ended.index("later")


def test_scoring_is_answered_while_a_long_text_is_generated(engine: Engine) -> None:
    backend = backend_of(tiny_model(eos_token_id=None), engine)
    long = backend.generate([GenerateItem(prompt="a", max_new_tokens=400, temperature=1.0)])

    backend.score([ScoreItem(prompt="a", choices=("b", "c"))]).result(timeout=60)

    assert not long.done()
    long.result(timeout=120)
