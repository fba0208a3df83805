"""The model server's door to the network: who is let in, and to what."""

from __future__ import annotations

import json
import signal
import socket
import stat
import struct
import sys
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.conftest import StartProcess
from tests.integration.front.server import TOKEN, Server
from tests.support import free_port
from worker.models.front.token import make_token
from worker.models.protocol import GenerateItem
from worker.models.supervise import ping
from worker.models.unix_http import exchange


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x"])
def test_a_wrong_token_opens_nothing(server: Server, token: str) -> None:
    with server.client(token) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()

    assert caught.value.code == "invalid_api_key"
    for method, path in (
        ("GET", "/health"),
        ("POST", "/generate"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/x"),
    ):
        assert server.ask(method, path, token=token)[0] == 401
        assert server.ask(method, path, token="")[0] == 401


def test_a_client_that_is_gone_before_it_is_served_still_needs_the_token(server: Server) -> None:
    """A reset connection has no peer's address, as on a Unix socket: origin must not be judged by it."""
    model = "fake:from-the-dark"
    body = json.dumps({"model": model}).encode()
    server.process.signal(signal.SIGSTOP)  # so that it sees them only when they are gone
    try:
        for _ in range(5):
            peer = socket.create_connection(("127.0.0.1", server.port))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(
                b"POST /describe HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            peer.close()
    finally:
        server.process.signal(signal.SIGCONT)

    health = ping(server.socket_path)
    assert health is not None
    assert model not in health.stats.models


def test_the_workers_own_paths_are_open_to_who_has_the_token(server: Server) -> None:
    item = GenerateItem(prompt="a b").model_dump()
    body = json.dumps({"model": "", "items": [item]}).encode()

    status, _, answer = server.ask("POST", "/generate", body)

    assert status == 200
    assert answer["results"][0]["text"] == "a b"


def test_the_network_cannot_name_a_model_that_nobody_offered(server: Server, client: OpenAI) -> None:
    for model in ("gpt-4o", "fake:secret", "/etc", "openai:http://127.0.0.1:9#x", "owner/name"):
        with pytest.raises(openai.NotFoundError) as caught:
            client.completions.create(model=model, prompt="a")
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model=model, prompt="a", stream=True)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "a"}])
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model=model, input="a")
        assert server.ask("POST", "/describe", json.dumps({"model": model}).encode())[0] == 422


def test_on_its_own_socket_any_model_may_be_named_and_no_token_is_asked(server: Server) -> None:
    body = json.dumps({"model": "fake:anything", "prompt": "a b"})

    status, answer = exchange(server.socket_path, "POST", "/v1/completions", body, timeout_s=30)

    assert status == 200
    assert answer["choices"][0]["text"] == "a b"
    body = json.dumps({"model": "gpt-4o", "prompt": "a b"})
    status, answer = exchange(server.socket_path, "POST", "/v1/completions", body, timeout_s=30)
    assert status == 404
    assert answer["error"]["code"] == "model_not_found"


def test_the_token_is_in_no_log_and_no_answer(server: Server) -> None:
    _, headers, answer = server.ask("GET", "/v1/models", token=TOKEN[:-1])

    assert TOKEN[:-1] not in json.dumps([headers, answer])
    assert TOKEN[:-1] not in server.process.output()


def test_it_does_not_listen_on_the_network_without_a_token(
    start_process: StartProcess, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("\n")
    command = [sys.executable, "-m", "worker.models.server", "--socket", tmp_path / "m.sock"]
    without = [
        start_process([*command, "--http", "127.0.0.1:0", *more])
        for more in ([], ["--http-token-file", tmp_path / "empty"], ["--http-token-file", tmp_path / "none"])
    ]

    for process in without:
        assert process.wait() == 2
        assert "listens on the network only with a token" in process.output()


def test_an_address_that_is_taken_is_named(start_process: StartProcess, tmp_path: Path) -> None:
    token = make_token(tmp_path / "secrets" / "token")
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        process = start_process(
            [sys.executable, "-m", "worker.models.server", "--socket", tmp_path / "m.sock",
             "--http", f"127.0.0.1:{port}", "--http-token-file", token]
        )  # fmt: skip

        assert process.wait() == 3
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in process.output()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_sigterm_closes_both_doors(tmp_path: Path) -> None:
    server = Server(tmp_path, "--text-model", "fake:")

    server.process.stop()

    assert "Traceback" not in server.process.output()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
