"""The door to the network: its address, its token, and who passes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tasks.errors import InvalidInput
from worker.models.front.gate import Gate
from worker.models.front.network import parse_address
from worker.models.front.token import http_options, make_token, read_token


def open_door(token: str) -> TestClient:
    async def inside(_: Request) -> Response:
        return PlainTextResponse("inside")

    return TestClient(Gate(Starlette(routes=[Route("/", inside)]), token))


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "secret", "Basic secret", "Bearer secre", "Bearer secret2", "Bearer x secret"],
)
def test_only_the_token_opens(header: str) -> None:
    answer = open_door("secret").get("/", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "secret " not in answer.text


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret", "BEARER  secret"])
def test_the_token_opens(header: str) -> None:
    assert open_door("secret").get("/", headers={"Authorization": header}).text == "inside"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7610", ("127.0.0.1", 7610)),
        ("gpu.local:0", ("gpu.local", 0)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_addresses_to_listen_on(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["7610", "host", ":7610", "host:", "host:99999", "::1:80", "http://host:80"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"write HOST:PORT, for example 127\.0\.0\.1:7610"):
        parse_address(text)


def test_the_token_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = make_token(tmp_path / "secrets" / "models.token")
    token = read_token(path)

    assert len(token) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(make_token(path)) == token


def test_without_a_token_the_door_stays_shut(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--http-token-file is not given"):
        read_token(None)
    with pytest.raises(InvalidInput, match="is missing or empty"):
        read_token(tmp_path / "none")


def test_a_server_gets_a_door_only_where_an_address_is_set(tmp_path: Path) -> None:
    token_file = tmp_path / "secrets" / "models.token"

    assert http_options("", token_file) == ()
    assert not token_file.exists()
    options = http_options("127.0.0.1:7610", token_file)
    assert options == ("--http", "127.0.0.1:7610", "--http-token-file", str(token_file))
    assert read_token(token_file)
