"""The embedded models through the real server, in fp32, against plain transformers."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.errors import PermanentFailure
from tasks.text_embed import Request
from tests.support import wait_until
from worker.handlers import text_embed
from worker.models.artifacts import find_files
from worker.models.client import ModelClient
from worker.models.native.load import ready_folder
from worker.models.protocol import GenerateItem, ScoreItem
from worker.models.reference import DEFAULT_TEXT_MODEL, parse_reference
from worker.models.supervise import ModelServerSupervisor, ServerSettings, ping

TOPICS = (" billing", " a table reservation", " delivery")
MESSAGES = (
    "I was charged twice this month.",
    "Do you have room for four people on Friday evening?",
    "Mi pedido llegó roto y tarde.",
    "Where is my parcel?",
    "The invoice has the wrong address on it, please send me a new one.",
)
SYSTEM = (
    "You sort messages that customers write to a shop, a restaurant and a software company. Read the "
    "message with care, think of what the customer wants, and name the topic in a few words."
)


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def client(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelClient]:
    """A client of a supervised server whose models are loaded."""
    folder = tmp_path_factory.mktemp("server")
    settings = ServerSettings(
        socket_path=folder / "m.sock",
        log_folder=folder,
        # What is asked twice is computed twice: a kept answer would show nothing of the engine.
        options=(
            *("--dtype", "float32", "--cache-folder", str(cache_folder)),
            *("--idle-exit-s", "60", "--kept-mib", "0"),
        ),
    )
    supervisor = ModelServerSupervisor(settings, interval_s=0.2)
    supervisor.start()
    yield ModelClient(settings.socket_path)
    supervisor.stop()
    health = ping(settings.socket_path)
    if health is not None:
        os.kill(health.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def plain(client: ModelClient, cache_folder: Path) -> tuple[Any, Any]:
    """The same model and tokenizer in this process, run by transformers alone."""
    client.describe(DEFAULT_TEXT_MODEL)  # by now the server has converted it
    # Two processes that spin for the same cores slow each other down tenfold.
    torch.set_num_threads(1)
    folder = ready_folder(find_files(parse_reference(DEFAULT_TEXT_MODEL)), cache_folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    model.train(False)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def score_items(client: ModelClient) -> list[ScoreItem]:
    prompts = [client.chat_prompt("", [("system", SYSTEM), ("user", message)]) for message in MESSAGES]
    return [ScoreItem(prompt=prompt + "Topic:", choices=TOPICS) for prompt in prompts]


def dot(first: list[float], second: list[float]) -> float:
    return sum(one * other for one, other in zip(first, second, strict=True))


def plain_logprob(model: Any, tokenizer: Any, prompt: str, choice: str) -> float:
    before, after = tokenizer(prompt)["input_ids"], tokenizer(choice)["input_ids"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
    return float(torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(after)[:, None]).sum())


def test_scores_equal_unbatched_passes_while_shared_prompts_are_computed_once(
    client: ModelClient, plain: tuple[Any, Any]
) -> None:
    items = score_items(client)
    before = client.health().stats

    scored = client.score("", items)

    after = client.health().stats
    for item, result in list(zip(items, scored, strict=True))[:3]:
        reference = [plain_logprob(*plain, item.prompt, choice) for choice in item.choices]
        assert result.logprobs == pytest.approx(reference, abs=1e-3)
    asked = after.prompt_tokens - before.prompt_tokens
    assert after.computed_tokens - before.computed_tokens < asked / 2


def test_greedy_text_is_what_transformers_generates(client: ModelClient, plain: tuple[Any, Any]) -> None:
    model, tokenizer = plain
    prompts = [client.chat_prompt("", [("user", message)]) for message in MESSAGES[:3]]

    results = client.generate("", [GenerateItem(prompt=prompt, max_new_tokens=8) for prompt in prompts])

    for prompt, result in zip(prompts, results, strict=True):
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=8, do_sample=False)[
            0, inputs["input_ids"].shape[1] :
        ]
        assert result.text == tokenizer.decode(output, skip_special_tokens=True)


def test_a_seeded_text_is_the_same_alone_and_in_a_crowd(client: ModelClient) -> None:
    items = [
        GenerateItem(prompt=message, max_new_tokens=16, temperature=0.9, top_p=0.95, seed=seed)
        for seed, message in enumerate(MESSAGES * 2)
    ]
    alone = client.generate("", items[3:4])[0]

    with ThreadPoolExecutor(3) as clients:
        crowds = list(clients.map(lambda _: client.generate("", items), range(3)))

    assert [crowd[3] for crowd in crowds] == [alone] * 3
    assert crowds[0] == crowds[1] == crowds[2]
    assert len({result.text for result in crowds[0]}) > 3


def test_embeddings_have_unit_length_and_near_meanings_are_near(client: ModelClient) -> None:
    texts = ["Where is my parcel?", "My package has not arrived.", "We want a table for two.", "x " * 600]

    vectors = client.embed("", texts)

    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * 4, abs=1e-5)
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]) + 0.2
    assert client.embed("", texts[:1])[0] == pytest.approx(vectors[0], abs=1e-5)


def test_the_embedding_task_records_the_pinned_model(client: ModelClient) -> None:
    class Context:
        models = client

    result = text_embed.handle(Request(texts=("one", "two")), Context())  # type: ignore[arg-type]

    assert len(result.vectors) == 2
    assert result.model_sha256.startswith("53aa5117")


def test_the_model_is_described_for_the_steps_record(client: ModelClient) -> None:
    described = client.describe("")

    assert described["model"] == "embedded:smollm2"
    assert described["sha256"].startswith("b179c952")
    assert (described["dtype"], described["device"]) == ("float32", "cpu")


def test_a_prompt_beyond_the_context_fails_alone(client: ModelClient) -> None:
    endless = ScoreItem(prompt="very " * 9000, choices=("a", "b"))

    with pytest.raises(PermanentFailure, match=r"900\d tokens and the model's context 8192"):
        client.score("", [endless])
    assert client.score("", [ScoreItem(prompt="very", choices=("a", "b"))])


def test_a_model_is_told_what_it_cannot_do(client: ModelClient) -> None:
    with pytest.raises(PermanentFailure, match="embeds sentences and cannot score choices"):
        client.score("embedded:minilm", [ScoreItem(prompt="a", choices=("b", "c"))])
    with pytest.raises(PermanentFailure, match="generates text and embeds none"):
        client.embed("embedded:smollm2", ["a"])


def test_killing_the_server_at_work_loses_no_request(client: ModelClient) -> None:
    items = score_items(client)
    expected = client.score("", items)
    doomed = client.health().pid
    answers: list[list[float]] = []

    def work() -> None:
        for _ in range(4):
            answers.append([result.logprobs[0] for result in client.score("", items)])

    working = threading.Thread(target=work)
    working.start()
    wait_until(lambda: answers)
    os.kill(doomed, signal.SIGKILL)
    working.join(timeout=90)

    assert len(answers) == 4
    for answer in answers:
        assert answer == pytest.approx([result.logprobs[0] for result in expected], abs=1e-3)
    assert client.health().pid != doomed
