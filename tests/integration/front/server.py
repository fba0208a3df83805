"""A model server with a door to the network, for tests."""

from __future__ import annotations

import http.client
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.support import Process, wait_until
from worker.models.supervise import ping

TOKEN = "d8-a-token-for-tests"


class Server:
    """A server process with a door to the network."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket_path = folder / "m.sock"
        token_file = folder / "token"
        token_file.write_text(TOKEN + "\n")
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "worker.models.server",
            "--socket",
            self.socket_path,
            *options,
        ]
        self.process = Process(
            [*command, "--http", "127.0.0.1:0", "--http-token-file", token_file], folder / "server.log"
        )
        self.port = int(self.process.wait_for_line(r"model_server_http host=\S+ port=(\d+)")[1])
        wait_until(lambda: ping(self.socket_path), what="the server answers", diagnose=self.process.tail)

    def client(self, token: str = TOKEN) -> OpenAI:
        return OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key=token, max_retries=0)

    def ask(
        self, method: str, path: str, body: bytes = b"", token: str = TOKEN
    ) -> tuple[int, dict[str, str], Any]:
        """(status, headers, answer) of a plain request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(told)


def ask_twice(client: OpenAI, **settings: Any) -> list[str]:
    """The texts of two requests that run at once."""

    def ask(seed: int) -> str:
        answer = client.completions.create(prompt="Once upon a time", max_tokens=12, seed=seed, **settings)
        text: str = answer.choices[0].text
        return text

    with ThreadPoolExecutor(2) as both:
        return list(both.map(ask, (1, 2)))
