"""Models of other shapes, and one that comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.integration.engine.stage import backend_of
from tests.integration.tiny_model import other_model, tiny_model
from worker.models.native import load
from worker.models.native.causal import CausalModel
from worker.models.native.decoder import LlamaDecoder, TransformersDecoder
from worker.models.native.engine import Engine
from worker.models.native.kv import NOTHING
from worker.models.native.slots import Slots
from worker.models.protocol import GenerateItem


def test_a_model_that_comes_back_needs_no_second_trial(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_model().model.save_pretrained(folder)
    placement = load.Placement(device=torch.device("cpu"), dtype=torch.float32)
    known = load.Known(text=tiny_model().text)
    first = load.load_causal(folder, placement, known)
    again = load.load_causal(folder, placement, known)

    assert known.decoder is LlamaDecoder
    assert again.shares
    tokens = first.integers([[5, 6, 7]])
    for model in (first, again):
        assert len(model.model.get_decoder().layers) == 0
    with torch.inference_mode():
        made = [
            model.extend(Slots(model.shape), [NOTHING], [tuple(tokens[0].tolist())], room=0)
            for model in (first, again)
        ]
    assert torch.equal(made[0], made[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: other_model(Qwen2Config, Qwen2ForCausalLM),
        lambda: other_model(Qwen3Config, Qwen3ForCausalLM, head_dim=16),
        lambda: other_model(MistralConfig, MistralForCausalLM, sliding_window=None),
        lambda: other_model(GemmaConfig, GemmaForCausalLM, head_dim=16),
    ],
    ids=["qwen2", "qwen3", "mistral", "gemma"],
)
def test_models_of_other_shapes_write_what_transformers_writes(
    make: Callable[[], CausalModel], engine: Engine
) -> None:
    model = make()
    assert model.shares
    prompts = ["hello there", "hello you", "a"]
    items = [GenerateItem(prompt=prompt, max_new_tokens=10, ignore_end=True) for prompt in prompts]

    found = [result.text for result in backend_of(model, engine).generate(items).result(timeout=60).results]

    model.model.set_attn_implementation("eager")
    for prompt, text in zip(prompts, found, strict=True):
        ids = model.integers([model.text.prompt(prompt)])
        with torch.inference_mode():
            whole = model.model.generate(ids, max_new_tokens=10, min_new_tokens=10, do_sample=False)
        assert text == model.text.decode(whole[0, ids.shape[1] :].tolist())


def test_the_fast_decoder_serves_models_of_llamas_shape_and_transformers_the_others() -> None:
    assert isinstance(tiny_model().decoder, LlamaDecoder)
    gemma = other_model(GemmaConfig, GemmaForCausalLM, head_dim=16)
    assert isinstance(gemma.decoder, TransformersDecoder)
