"""The model server's engine on this machine's GPU, with random weights of real shapes and forced lengths."""

from __future__ import annotations

import dataclasses
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation.configuration_utils import ContinuousBatchingConfig, GenerationConfig

from worker.models.jobs import Job, Unit
from worker.models.native.causal import CPU_BUDGET, GPU_BUDGET, CausalModel
from worker.models.native.decoding import DecodeQueue
from worker.models.native.rows import GenerateTask
from worker.models.native.sharing import try_sharing
from worker.models.native.text import Text
from worker.models.protocol import GenerateItem
from worker.models.stats import Counters

VOCABULARY = 128_256


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    inner: int
    heads: int
    shared: int

    def make(self, device: str, dtype: torch.dtype) -> Any:
        config = LlamaConfig(
            vocab_size=VOCABULARY if device != "cpu" else 1024,
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.shared,
            max_position_embeddings=8192,
            bos_token_id=0,
            eos_token_id=1,
            attn_implementation="sdpa",
        )
        torch.manual_seed(0)
        with torch.device(device):
            model = LlamaForCausalLM(config).to(dtype)
        model.train(False)
        return model


SHAPES = {
    "0.6B": Shape(28, 1024, 3072, 16, 8),
    "1B": Shape(16, 2048, 8192, 32, 8),
    "8B": Shape(32, 4096, 14_336, 32, 8),
    #: For trying the script itself where there is no GPU.
    "tiny": Shape(2, 64, 128, 4, 2),
}


class Ids:
    """A tokenizer of numbers: text is the token ids, so that lengths are what they are meant to be."""

    bos_token_id = 0
    eos_token_id = 1
    chat_template = None

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [int(part) for part in text.split()]}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = True) -> str:
        return " ".join(map(str, tokens))


def main(rounds: int, shapes: Sequence[str] = ("0.6B", "8B"), device: str = "cuda") -> None:
    """Prints a table for every shape, and one line of JSON for the last."""
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here that Torch can use: --gpu needs one, see 'd8 doctor'")
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    figures: dict[str, Any] = {}
    for shape in shapes:
        model = SHAPES[shape].make(device, torch.bfloat16)
        figures = _measure(model, rounds, device)
        print(
            f"{shape} on {name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()), flush=True
        )
        del model
    print(json.dumps(figures))


def _measure(model: Any, rounds: int, device: str) -> dict[str, Any]:
    prompts = _prompts(20, 64 if device == "cuda" else 2, int(model.config.vocab_size))
    own = CausalModel(model, Text(Ids(), 8192), GPU_BUDGET if device == "cuda" else CPU_BUDGET)
    seen: dict[str, list[float]] = {}
    ways: dict[str, Callable[[], None]] = {
        "one_by_one": lambda: _padded(model, prompts[:16], 1),
        "padded": lambda: _padded(model, prompts, 64),
        "transformers_cb": lambda: _batching(model, prompts),
    }
    for _ in range(rounds):
        for way, run in ways.items():
            seen.setdefault(way, []).append(_timed(run, device))
    # Afterwards: the engine takes the layers' attention over.
    with torch.inference_mode():
        try_sharing(own)
    queue, counters = None, Counters()
    queue = DecodeQueue(own, counters)
    for _ in range(rounds + 1):
        seen.setdefault("d8", []).append(_timed(lambda: _own(queue, own, counters, prompts), device))
    seen["d8"].pop(0)  # the first one finds its memory
    medians = {way: statistics.median(values) for way, values in seen.items()}
    medians["one_by_one"] *= len(prompts) / 16
    result: dict[str, Any] = {f"w_vs_{way}": round(medians[way] / medians["d8"], 2) for way in ways}
    if device == "cuda":
        result |= _bandwidth(own, queue, counters)
    return result


def _prompts(genomes: int, questions: int, vocabulary: int) -> list[list[int]]:
    chance = random.Random(1)
    made = []
    for _ in range(genomes):
        system = [chance.randrange(2, vocabulary) for _ in range(70)]
        made += [system + [chance.randrange(2, vocabulary) for _ in range(17)] for _ in range(questions)]
    return made


def _timed(run: Callable[[], None], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    started_at_s = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started_at_s


def _padded(model: Any, prompts: Sequence[list[int]], size: int) -> None:
    for start in range(0, len(prompts), size):
        ids = torch.tensor(prompts[start : start + size], device=model.device)
        with torch.inference_mode():
            model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=48, min_new_tokens=48,
                do_sample=False, pad_token_id=1,
            )  # fmt: skip


def _batching(model: Any, prompts: Sequence[list[int]]) -> None:
    make: Any = GenerationConfig
    config = make(max_new_tokens=48, do_sample=False, eos_token_id=-1, pad_token_id=1)
    cache = (
        None
        if model.device.type == "cuda"
        else ContinuousBatchingConfig(page_size=16, num_blocks=300, max_batch_tokens=64)
    )
    model.generate_batch(
        inputs=list(prompts), generation_config=config, continuous_batching_config=cache,
        progress_bar=False, persistent_manager=True, warmup=False,
    )  # fmt: skip


def _own(queue: DecodeQueue, model: CausalModel, counters: Counters, prompts: Sequence[list[int]]) -> None:
    model.prefixes.clear()
    item = GenerateItem(prompt="", max_new_tokens=48, ignore_end=True)
    job: Job[Any] = Job(len(prompts), counters)
    with torch.inference_mode():
        queue.add(
            [Unit(job, at, GenerateTask(tuple(prompt), item), item) for at, prompt in enumerate(prompts)]
        )
        while queue.busy:
            queue.turn(lambda: False)


def _bandwidth(model: CausalModel, queue: DecodeQueue, counters: Counters) -> dict[str, float]:
    """Decoding against the time that reading the weights once a step takes at the memory's speed."""
    weights = sum(parameter.nbytes for parameter in model.model.parameters())
    properties = torch.cuda.get_device_properties(model.device)
    bytes_per_s = 2 * properties.memory_clock_rate * 1e3 * properties.memory_bus_width / 8
    shares = {}
    for rows in (1, 8, 32):
        prompts = _prompts(rows, 1, int(model.model.config.vocab_size))
        seconds = _timed(lambda given=prompts: _own(queue, model, counters, given), "cuda") / 48
        shares[f"bandwidth_share_{rows}"] = round(weights / bytes_per_s / seconds, 3)
    return shares
