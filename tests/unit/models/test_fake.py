from __future__ import annotations

import math

from worker.models.fake import FakeBackend
from worker.models.protocol import GenerateItem, ScoreItem


def test_scores_are_probabilities_that_depend_on_the_texts_alone() -> None:
    item = ScoreItem(prompt="hello", choices=("a", "b", "c"))

    first, again, other = (
        FakeBackend().score([item, item.model_copy(update={"prompt": "bye"})]).result().results[0],
        FakeBackend().score([item]).result().results[0],
        FakeBackend().score([item.model_copy(update={"prompt": "bye"})]).result().results[0],
    )

    assert first == again
    assert first != other
    assert math.isclose(sum(math.exp(logprob) for logprob in first.logprobs), 1.0)


def test_generation_repeats_the_prompts_end_and_obeys_length_and_stop() -> None:
    items = [
        GenerateItem(prompt="one two three", max_new_tokens=2),
        GenerateItem(prompt="one two three", max_new_tokens=8, stop=(" three",)),
    ]

    cut, stopped = FakeBackend().generate(items).result().results

    assert (cut.text, cut.finish) == ("two three", "length")
    assert (stopped.text, stopped.finish) == ("one two", "stop")


def test_vectors_have_unit_length_and_differ_between_texts() -> None:
    one, other = FakeBackend().embed(["one", "other"]).result().vectors

    assert math.isclose(math.hypot(*one), 1.0)
    assert one != other
