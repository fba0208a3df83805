"""What is refused, before it reaches the loop, and what the refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import PermanentFailure
from tests.integration.batching.stage import CONTEXT_TOKENS, FOREIGN, VOCABULARY, Open, loop_of, results_of
from worker.models.outcomes import Failed, Outcome, Rejected
from worker.models.protocol import Generated, GenerateItem, Grammar, ScoreItem
from worker.models.stats import Counters


def test_a_request_larger_than_the_cache_is_refused_with_both_numbers_and_harms_no_other(
    open_model: Open, counters: Counters
) -> None:
    backend = open_model(tokens=256)
    fits = GenerateItem(prompt="a" * 100, max_new_tokens=156, ignore_end=True)

    results = results_of(backend, fits.model_copy(update={"max_new_tokens": 157}), fits)

    refused, done = results
    assert isinstance(refused, Failed)
    assert (refused.outcome, refused.transient) == (Outcome.REJECTED, False)
    assert "257 tokens (prompt 100, new 157)" in refused.message
    assert "holds 256" in refused.message
    assert isinstance(done, Generated)
    assert done.tokens == 156
    assert counters.snapshot((), 0).rejected == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.5},
        {"top_k": 5},
        {"top_p": 0.9},
        {"grammar": Grammar(kind="regex", text="a+")},
    ],
)
def test_what_it_cannot_do_per_request_is_refused_and_says_what_to_use(
    open_model: Open, folder: Path, changes: dict[str, Any]
) -> None:
    greedy = GenerateItem(prompt="a", max_new_tokens=2, ignore_end=True)

    refused, done = results_of(open_model(), greedy.model_copy(update=changes), greedy)

    assert isinstance(refused, Failed)
    assert (refused.outcome, refused.transient) == (Outcome.REJECTED, False)
    assert f"name {folder} instead" in refused.message
    assert isinstance(done, Generated)


def test_tokens_that_the_weights_lack_and_prompts_beyond_the_context_never_reach_the_loop(
    open_model: Open,
) -> None:
    backend = open_model()
    first = loop_of(backend)

    foreign, long = results_of(
        backend, GenerateItem(prompt=f"a{FOREIGN}"), GenerateItem(prompt="a" * CONTEXT_TOKENS)
    )

    assert isinstance(foreign, Failed)
    assert isinstance(long, Failed)
    assert foreign.outcome is long.outcome is Outcome.REJECTED
    assert f"token {VOCABULARY} and the model knows {VOCABULARY}" in foreign.message
    assert f"{CONTEXT_TOKENS + 1} tokens and the model's context {CONTEXT_TOKENS}" in long.message
    assert loop_of(backend) is first
    assert first.takes


def test_only_generating_is_offered_and_the_rest_is_described(open_model: Open, folder: Path) -> None:
    backend = open_model()

    with pytest.raises(Rejected, match=f"name {folder} instead"):
        backend.score([ScoreItem(prompt="a", choices=("b", "c"))])
    with pytest.raises(Rejected, match="embedded:minilm"):
        backend.embed(["a"])
    assert backend.chat_prompt([("user", "hello")]) == "user: hello\n"
    described = backend.describe()
    assert (described.model, described.dtype, described.device) == (
        f"transformers:{folder}",
        "float32",
        "cpu",
    )
    assert len(described.sha256) == 64


def test_a_model_that_the_loop_refuses_is_told_when_it_is_opened(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(**_: Any) -> None:
        raise ValueError("Invalid layer type: recurrent")

    monkeypatch.setattr(
        "transformers.generation.continuous_batching.continuous_api.PagedAttentionCache", refuses
    )

    with pytest.raises(PermanentFailure, match=r"does not work with transformers:.*Invalid layer type"):
        open_model()
