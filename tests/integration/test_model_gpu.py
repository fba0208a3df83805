"""The engine on a GPU: the same texts as transformers' own, in any crowd."""

from __future__ import annotations

import pytest
import torch

from tests.integration.tiny_model import tiny_model
from worker.models.native.backend import CausalBackend
from worker.models.native.causal import CausalModel
from worker.models.native.decoding import DecodeQueue
from worker.models.native.engine import Engine
from worker.models.native.sharing import try_sharing
from worker.models.protocol import Generated, GenerateItem
from worker.models.stats import Counters
from worker.models.wire import DescribeReply

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def model() -> CausalModel:
    plain = tiny_model()
    moved = CausalModel(plain.model.to("cuda"), plain.text, plain.budget)
    with torch.inference_mode():
        try_sharing(moved)
    assert moved.shares
    return moved


def test_texts_on_a_gpu_are_those_of_a_cpu_alone_and_in_a_crowd(model: CausalModel) -> None:
    items = [
        GenerateItem(prompt=f"{'shared beginning ' * 4}{number}", max_new_tokens=12, ignore_end=True)
        for number in range(9)
    ]
    description = DescribeReply(model="tiny", sha256="0", dtype="float32", device="cuda")
    texts: list[list[str]] = []
    for one in (model, tiny_model()):
        engine = Engine()
        backend = CausalBackend(one, description, engine, Counters())
        found = backend.generate(items).result(timeout=120).results
        alone = [backend.generate([item]).result(timeout=120).results[0] for item in items]
        engine.stop()
        assert list(found) == alone
        texts.append([result.text for result in found if isinstance(result, Generated)])
    assert texts[0] == texts[1]


def test_running_out_of_a_gpus_memory_fails_nothing_that_fits(model: CausalModel) -> None:
    queue = DecodeQueue(model, Counters())
    queue.turn(lambda: False)
    hog = torch.empty(int(torch.cuda.mem_get_info()[0] * 0.98), dtype=torch.uint8, device="cuda")
    engine = Engine()
    description = DescribeReply(model="tiny", sha256="0", dtype="float32", device="cuda")
    backend = CausalBackend(model, description, engine, Counters())
    item = GenerateItem(prompt="small", max_new_tokens=4, ignore_end=True)
    assert isinstance(backend.generate([item]).result(timeout=60).results[0], Generated)
    engine.stop()
    del hog
    torch.cuda.empty_cache()
