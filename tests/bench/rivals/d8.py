"""D8's model server, as a handler asks it: a server process, a Unix socket, JSON."""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from worker.models.client import ModelClient
from worker.models.protocol import GenerateItem

Order = dict[str, Any]


def load(settings: Order) -> Callable[[Order], Order]:
    socket = Path(settings["socket"])
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "worker.models.server",
            "--socket",
            str(socket),
            "--dtype",
            settings["dtype"],
            "--kept-mib",
            "0",
        ]
    )
    atexit.register(server.terminate)
    client = ModelClient(socket)
    client.describe("embedded:smollm2")
    client.describe("embedded:minilm")

    def run(order: Order) -> Order:
        if order.get("texts"):
            return _embed(client, order["texts"], order["batch"])
        items = [
            GenerateItem(
                prompt=prompt,
                max_new_tokens=tokens,
                ignore_end=order["forced"],
                temperature=order.get("temperature", 0.0),
                seed=number,
                # Every round computes: an answer that was kept measures nothing.
                fresh=True,
            )
            for number, (prompt, tokens) in enumerate(zip(order["prompts"], order["tokens"], strict=True))
        ]
        client.forget_prefixes()
        started_at_s = time.perf_counter()
        if order.get("threads"):
            with ThreadPoolExecutor(order["threads"]) as pool:
                made = list(pool.map(lambda item: client.generate("embedded:smollm2", [item])[0], items))
        else:
            made = client.generate("embedded:smollm2", items)
        seconds = time.perf_counter() - started_at_s
        return {"seconds": seconds, "texts": [one.text for one in made]}

    return run


def _embed(client: ModelClient, texts: list[str], batch: int) -> Order:
    started_at_s = time.perf_counter()
    for start in range(0, len(texts), batch):
        client.embed("embedded:minilm", texts[start : start + batch])
    return {"seconds": time.perf_counter() - started_at_s, "texts": []}
