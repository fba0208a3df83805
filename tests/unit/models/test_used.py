"""Which models an attempt asked: described once each, and never at another step's cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.models import used
from worker.models.used import UsedModels
from worker.models.wire import PROTOCOL, DescribeReply, Health, Stats

UNKNOWN = {"sha256": "", "dtype": "", "device": ""}


class Server:
    """Answers as the model server does, and remembers what it was asked to describe."""

    def __init__(self, *loaded: str) -> None:
        self.loaded = loaded
        self.asked: list[str] = []
        self.away: Exception | None = None

    def exchange(
        self, _: Path, method: str, path: str, body: str, *, timeout_s: float
    ) -> tuple[int, dict[str, Any]]:
        assert 0 < timeout_s <= 2
        if self.away is not None:
            raise self.away
        if path == "/health":
            health = Health(protocol=PROTOCOL, pid=1, stats=Stats(models=self.loaded))
            return 200, health.model_dump(mode="json")
        reference = json.loads(body)["model"]
        self.asked.append(reference)
        return 200, description(reference or "embedded:smollm2").model_dump()


def description(reference: str) -> DescribeReply:
    return DescribeReply(model=reference, sha256="a" * 64, dtype="float32", device="cpu")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server("embedded:smollm2", "fake:")
    monkeypatch.setattr(used, "exchange", made.exchange)
    return made


@pytest.fixture
def models() -> UsedModels:
    return UsedModels(Path("/nowhere"))


def test_nothing_asked_costs_no_call(server: Server, models: UsedModels) -> None:
    server.away = AssertionError("it was called")
    assert models.describe() == []


def test_each_model_is_described_once_in_the_order_of_use(server: Server, models: UsedModels) -> None:
    for reference in ("fake:", "", "fake:", "embedded:smollm2"):
        models.note(reference)
    described = [each["model"] for each in models.describe()]
    assert described == ["fake:", "embedded:smollm2"], "the default and its name are one model"
    assert models.describe() == [description(name).model_dump() for name in described]
    assert server.asked == ["fake:", "", "embedded:smollm2"]


def test_what_the_handler_had_described_is_not_asked_again(server: Server, models: UsedModels) -> None:
    models.note("fake:")
    models.keep("fake:", description("fake:"))
    models.keep("never:used", description("never:used"))
    assert models.describe() == [description("fake:").model_dump()]
    assert server.asked == []


def test_model_that_was_dropped_since_is_named_and_not_loaded_again(
    server: Server, models: UsedModels
) -> None:
    models.note("/models/large")
    assert models.describe() == [{"model": "/models/large", **UNKNOWN}]
    assert server.asked == []


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), ValueError("no JSON")])
def test_server_that_is_away_costs_only_the_description(
    server: Server, models: UsedModels, error: Exception
) -> None:
    server.away = error
    models.note("fake:")
    assert models.describe() == [{"model": "fake:", **UNKNOWN}]
