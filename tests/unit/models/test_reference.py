from __future__ import annotations

import pytest

from tasks.errors import PermanentFailure
from worker.models.reference import ReferenceKind, parse_reference


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("embedded:smollm2", ReferenceKind.EMBEDDED, "smollm2"),
        ("/models/mine", ReferenceKind.FOLDER, "/models/mine"),
        ("/models/mine.gguf", ReferenceKind.GGUF, "/models/mine.gguf"),
        ("Qwen/Qwen3-0.6B", ReferenceKind.HUB, "Qwen/Qwen3-0.6B"),
        ("openai:http://127.0.0.1:8000/v1/#tiny", ReferenceKind.OPENAI, "http://127.0.0.1:8000/v1"),
        ("transformers:embedded:smollm2", ReferenceKind.BATCHING, "embedded:smollm2"),
        ("transformers:/models/mine.gguf", ReferenceKind.BATCHING, "/models/mine.gguf"),
        ("fake:", ReferenceKind.FAKE, ""),
    ],
)
def test_every_documented_form_is_understood(text: str, kind: ReferenceKind, target: str) -> None:
    reference = parse_reference(text)

    assert (reference.kind, reference.target) == (kind, target)


def test_the_remote_models_name_is_what_follows_the_hash() -> None:
    assert parse_reference("openai:https://host/v1#org/model:free").remote_model == "org/model:free"


@pytest.mark.parametrize(
    "text", ["", "smollm2", "a/b/c", "embedded:gpt", "openai:http://host/v1", "openai:#m"]
)
def test_anything_else_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(PermanentFailure, match=r"write|there are"):
        parse_reference(text)


@pytest.mark.parametrize(
    "inner", ["owner/name", "openai:http://host/v1#m", "fake:", "transformers:/models/mine"]
)
def test_only_models_on_this_machine_are_batched_by_transformers(inner: str) -> None:
    with pytest.raises(PermanentFailure, match="write transformers:embedded:smollm2"):
        parse_reference(f"transformers:{inner}")


def test_a_password_in_a_reference_is_refused_and_not_repeated() -> None:
    with pytest.raises(PermanentFailure, match="D8_OPENAI_API_KEY") as refusal:
        parse_reference("openai:https://me:hunter2@host/v1#m")

    assert "hunter2" not in str(refusal.value)
