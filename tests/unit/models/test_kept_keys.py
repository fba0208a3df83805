"""Under which key an answer is kept: one for each question, and for each that answers it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.kept_parts import ANSWERER, choice, text
from worker.models.kept.keys import Keys, beside_sha256
from worker.models.protocol import Asked, GenerateItem, Grammar

KEYS = Keys(ANSWERER)
WARM: dict[str, Any] = {"temperature": 1.0}
#: Another value for every field of a text's item that decides the text.
DECISIVE: dict[str, Any] = {
    "prompt": "other",
    "max_new_tokens": 65,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "seed": 1,
    "stop": ("x",),
    "grammar": Grammar(kind="regex", text="a"),
    "ignore_end": True,
}


def test_every_field_of_an_item_either_decides_or_is_a_circumstance() -> None:
    """A new field must be thought about here: a key that misses it gives wrong answers."""
    assert set(GenerateItem.model_fields) == set(DECISIVE) | set(Asked.model_fields)
    assert set(Asked.model_fields) == {"priority", "deadline_s", "fresh"}


@pytest.mark.parametrize("field", DECISIVE)
def test_texts_that_differ_in_what_decides_have_other_keys(field: str) -> None:
    usual, other = text("p", **WARM), text(**({"prompt": "p"} | WARM | {field: DECISIVE[field]}))

    assert KEYS.of("generate", usual) != KEYS.of("generate", other)


@pytest.mark.parametrize("change", [{"prompt": "q"}, {"choices": ("b", "a")}, {"choices": ("a", "b", "c")}])
def test_scores_of_other_prompts_or_choices_have_other_keys(change: dict[str, Any]) -> None:
    assert KEYS.of("score", choice("p")) != KEYS.of("score", choice("p").model_copy(update=change))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ANSWERER)])
def test_another_answerer_has_other_keys(field: str) -> None:
    other = Keys(dataclasses.replace(ANSWERER, **{field: "other"}))

    assert KEYS.of("embed", "a text") != other.of("embed", "a text")


def test_kinds_of_questions_do_not_share_keys() -> None:
    assert KEYS.of("embed", "a") != KEYS.of("generate", "a")


def test_priority_deadline_and_freshness_change_no_key() -> None:
    wishes = {"priority": 5, "deadline_s": 3.0, "fresh": True}

    assert KEYS.of("generate", text("p", **wishes)) == KEYS.of("generate", text("p"))
    assert KEYS.of("score", choice("p", **wishes)) == KEYS.of("score", choice("p"))


def test_where_nothing_is_drawn_the_seed_and_its_limits_change_no_key() -> None:
    assert KEYS.of("generate", text("p", seed=7, top_p=0.5, top_k=3)) == KEYS.of("generate", text("p"))


def test_a_folder_with_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    for name in ("tokenizer.json", "1_Pooling/config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    digests = [beside_sha256(tmp_path)]

    for name in ("tokenizer.json", "1_Pooling/config.json"):
        (tmp_path / name).write_text('{"other": 1}')
        digests.append(beside_sha256(tmp_path))
    (tmp_path / "model.safetensors").write_text("other weights have a digest of their own")

    assert len(set(digests)) == 3
    assert beside_sha256(tmp_path) == digests[-1]
