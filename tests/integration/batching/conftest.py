"""The model of these tests, and opening it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.integration.batching.stage import (
    CONTEXT_TOKENS,
    END,
    VOCABULARY,
    Open,
    loop_threads,
    make_registry,
    save_tokenizer,
    sized,
)
from worker.models.batching.backend import BatchingBackend
from worker.models.stats import Counters


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(7)
    torch.set_num_threads(1)  # too small to share out
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.4,
        bos_token_id=0,
        eos_token_id=END,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def open_model(folder: Path, tmp_path: Path, counters: Counters) -> Iterator[Open]:
    """Opens the model; with ``tokens``, in so small a cache. All is stopped at last."""
    registries = []

    def open_it(tokens: int = 0) -> BatchingBackend:
        with pytest.MonkeyPatch.context() as patch:
            if tokens:
                patch.setattr("worker.models.batching.load.choose_size", sized(tokens))
            registry = make_registry(tmp_path, counters)
            registries.append(registry)
            backend = registry.backend(f"transformers:{folder}", "text")
        assert isinstance(backend, BatchingBackend)
        return backend

    yield open_it
    for registry in registries:
        registry.stop()
    assert loop_threads() == []
