"""Kept answers between real server processes, with a real Redis and without one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.servers import Redis
from tests.support import wait_until
from worker.models.client import ModelClient
from worker.models.kept.shared import PREFIX
from worker.models.protocol import GenerateItem, ScoreItem
from worker.models.supervise import ping

ITEM = ScoreItem(prompt="hello there", choices=("a", "b"))

Serve = Callable[..., ModelClient]


@pytest.fixture
def serve(start_process: StartProcess, tmp_path: Path) -> Serve:
    """``serve(url, *options)``: a client of a server process of its own."""

    def start(url: str = "", *options: str) -> ModelClient:
        place = tmp_path / f"{len(list(tmp_path.glob('*.sock')))}.sock"
        process = start_process(
            [sys.executable, "-m", "worker.models.server", "--socket", place, *options],
            name="server",
            env={"D8_CACHE_URL": url},
        )
        wait_until(lambda: ping(place), what="the server answers", diagnose=process.tail)
        return ModelClient(place)

    return start


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


def shared_keys(server: Redis) -> list[bytes]:
    with server.client() as client:
        keys: list[bytes] = list(client.scan_iter(f"{PREFIX}*"))
    return keys


def test_an_answer_is_kept_until_the_server_is_told_to_forget(serve: Serve) -> None:
    client = serve()
    first = client.score("fake:", [ITEM])
    assert client.score("fake:", [ITEM]) == first
    assert client.usage.kept == 1

    client.score("fake:", [ITEM.model_copy(update={"fresh": True})])
    client.forget_prefixes()
    client.score("fake:", [ITEM])

    assert client.usage.kept == 1
    assert client.health().stats.kept == 1


def test_a_server_can_be_told_to_keep_none(serve: Serve) -> None:
    client = serve("", "--kept-mib", "0")

    client.score("fake:", [ITEM])
    client.score("fake:", [ITEM])

    assert client.usage.kept == 0


def test_a_kept_text_is_streamed_as_one_part(serve: Serve) -> None:
    client = serve()
    item = GenerateItem(prompt="one two three")
    *parts, whole = client.stream("fake:", item)
    *again, same = client.stream("fake:", item)

    assert (len(parts), again, same) == (3, ["one two three"], whole)


@pytest.mark.services
def test_two_servers_share_their_answers(serve: Serve, own_redis: Redis) -> None:
    one, other = serve(own_redis.url), serve(own_redis.url)
    texts = [f"text {number}" for number in range(300)]
    vectors = one.embed("fake:", texts)
    scores = one.score("fake:", [ITEM])
    wait_until(lambda: len(shared_keys(own_redis)) == 301, what="all is shared")

    assert other.embed("fake:", texts) == vectors
    assert other.score("fake:", [ITEM]) == scores
    assert other.usage.kept == 301
    with own_redis.client() as client:
        assert 3500 < int(client.ttl(shared_keys(own_redis)[0])) <= 3600


@pytest.mark.services
def test_a_redis_that_dies_costs_nothing_but_what_it_shared(
    serve: Serve, own_redis: Redis, tmp_path: Path
) -> None:
    one, other = serve(own_redis.url), serve(own_redis.url)
    one.score("fake:", [ITEM])
    wait_until(lambda: shared_keys(own_redis), what="the answer is shared")

    own_redis.kill()
    items = [ITEM.model_copy(update={"prompt": f"number {number}"}) for number in range(50)]
    computed = [other.score("fake:", [item])[0] for item in items]

    assert one.score("fake:", items) == computed
    assert one.score("fake:", [ITEM]) == other.score("fake:", [ITEM])
    assert (one.usage.kept, other.usage.kept) == (1, 0)
    logs = "".join(log.read_text() for log in tmp_path.glob("server-*.log"))
    assert logs.count("kept_answers_not_shared") == 2
    assert own_redis.password not in logs


@pytest.mark.services
def test_what_others_write_there_is_believed_only_where_it_can_be_an_answer(
    serve: Serve, own_redis: Redis
) -> None:
    one, other = serve(own_redis.url), serve(own_redis.url)
    right = one.score("fake:", [ITEM])
    wait_until(lambda: shared_keys(own_redis), what="the answer is shared")
    with own_redis.client() as client:
        client.set(shared_keys(own_redis)[0], b'{"logprobs": [], "tokens": []}')

    assert other.score("fake:", [ITEM]) == right
    assert other.usage.kept == 0


def test_a_wrong_address_ends_the_server_without_showing_the_password(
    start_process: StartProcess, tmp_path: Path
) -> None:
    process = start_process(
        [sys.executable, "-m", "worker.models.server", "--socket", tmp_path / "m.sock"],
        env={"D8_CACHE_URL": "http://:hush@host"},
    )

    assert process.wait() == 2
    assert "D8_CACHE_URL is not the address of a Redis" in process.output()
    assert "hush" not in process.output()


def test_real_models_answers_are_kept_and_are_what_they_compute(serve: Serve, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    client = serve("", "--dtype", "float32", "--cache-folder", str(tmp_path / "cache"))
    item = GenerateItem(prompt="Once upon a time", max_new_tokens=8, temperature=0.8, seed=3)
    first = client.generate("embedded:smollm2", [item]), client.embed("embedded:minilm", ["a", "b"])
    before = client.health().stats

    again = client.generate("embedded:smollm2", [item]), client.embed("embedded:minilm", ["b", "a"])
    kept = client.health().stats
    fresh = client.generate("embedded:smollm2", [item.model_copy(update={"fresh": True})])

    assert again[0] == first[0] == fresh
    assert again[1] == first[1][::-1]
    assert (kept.kept, kept.done) == (3, before.done + 3)
    assert (kept.busy_s, kept.generated_tokens) == (before.busy_s, before.generated_tokens)
