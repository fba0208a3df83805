"""Signatures and addresses of webhooks."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from master.webhooks.address import find_address, read_url
from master.webhooks.records import DELAYS
from master.webhooks.signing import Sealer, new_secret, sign
from tasks.errors import InvalidInput, Refused, Unhealthy, Unreachable


def test_the_signature_is_the_one_of_the_specifications_libraries() -> None:
    """The vector that standardwebhooks' own libraries are tested with."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_as_long_as_asked_for_and_never_twice_the_same() -> None:
    one, two = new_secret(), new_secret()
    assert one != two
    assert one.startswith("whsec_")
    assert 24 <= len(base64.b64decode(one[6:])) <= 64


def test_a_kept_secret_needs_the_key(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path / "keys" / "a")
    sealed = sealer.seal("whsec_x")
    assert "whsec" not in base64.b64decode(sealed).decode("latin-1")
    assert sealer.open(sealed) == "whsec_x"
    assert (tmp_path / "keys" / "a").stat().st_mode & 0o077 == 0
    with pytest.raises(Unhealthy, match="put that file back"):
        Sealer(tmp_path / "b").open(sealed)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://example.com", "file:///etc/passwd", "https://", "https://u:p@example.com", "http://a b.com/",
     "https://example.com/#x", "https://example.com:99999/", "http://example.com:0/", "https://exämple.com/",
     "http://[::1", "https://example.com/\r\nX: y"],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        read_url(url)


def test_an_address_is_taken_apart() -> None:
    target = read_url("https://example.com/a/b?c=d")
    assert (target.https, target.host, target.port, target.path) == (True, "example.com", 443, "/a/b?c=d")
    assert read_url("http://[fd00::1]:8123").port == 8123


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "169.254.169.254", "0.0.0.0",
     "::", "224.0.0.1", "ff02::1", "fd00:ec2::254", "100.100.100.200", "64:ff9b::7f00:1", "2002:7f00:1::",
     "::ffff:169.254.169.254", "240.0.0.1"],
)  # fmt: skip
def test_the_master_its_link_and_a_clouds_secrets_are_out_of_reach(address: str) -> None:
    target = read_url("https://hook.example/")
    with pytest.raises(Refused):
        find_address(target, allow_local=False, resolve=lambda *_: [address])
    with pytest.raises(Refused):
        find_address(target, allow_local=False, resolve=lambda *_: ["93.184.215.14", address])


@pytest.mark.parametrize("address", ["192.168.1.20", "10.0.0.5", "fd12::5", "93.184.215.14", "2606:2800::1"])
def test_the_owners_network_and_the_internet_are_not(address: str) -> None:
    assert (
        find_address(read_url("http://hook.example/"), allow_local=False, resolve=lambda *_: [address])
        == address
    )


def test_who_allows_it_reaches_the_master_but_never_the_credentials() -> None:
    target = read_url("http://localhost:8123/")
    assert find_address(target, allow_local=True, resolve=lambda *_: ["127.0.0.1"]) == "127.0.0.1"
    for address in ("169.254.169.254", "fd00:ec2::254"):
        with pytest.raises(Refused):
            find_address(target, allow_local=True, resolve=lambda *_: [address])  # noqa: B023
    with pytest.raises(Unreachable):
        find_address(target, allow_local=True, resolve=lambda *_: [])


def test_tries_are_spread_over_days() -> None:
    assert list(DELAYS) == sorted(DELAYS)
    assert sum(delay.total_seconds() for delay in DELAYS) > 3 * 86_400
