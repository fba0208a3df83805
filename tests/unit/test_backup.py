"""The sealed stream and the manifest: nothing that was changed or cut off passes."""

from __future__ import annotations

import io

import pytest

from master.backup.files import is_about_the_place
from master.backup.manifest import acceptable, read_manifest, require_known
from master.backup.sealed import CHUNK, Opener, Sealer
from tasks.errors import InvalidInput, Refused


def sealed(data: bytes) -> bytes:
    target = io.BytesIO()
    sealer = Sealer(target, "right", cost=10)
    for start in range(0, len(data), 10_000):
        sealer.write(data[start : start + 10_000])
    sealer.finish()
    return target.getvalue()


def opened(data: bytes, passphrase: str = "right") -> bytes:
    return Opener(io.BytesIO(data), passphrase).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_sealed_is_opened_again(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    assert opened(sealed(data)) == data


def test_wrong_passphrase_is_told() -> None:
    with pytest.raises(InvalidInput, match="passphrase is wrong"):
        opened(sealed(b"x"), "wrong")


@pytest.mark.parametrize("cut", [1, 16, CHUNK, CHUNK + 16, 2 * (CHUNK + 16)])
def test_cut_off_stream_is_refused(cut: int) -> None:
    with pytest.raises(InvalidInput):
        opened(sealed(b"x" * 3 * CHUNK)[:-cut])


def test_each_changed_byte_is_refused() -> None:
    whole = sealed(b"hello")
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(InvalidInput):
            opened(bytes(changed))


def test_exchanged_chunks_are_refused() -> None:
    whole = sealed(b"x" * 3 * CHUNK)
    size = CHUNK + 16
    start = len(whole) - 3 * size
    one, two, three = (whole[start + n * size : start + (n + 1) * size] for n in range(3))
    with pytest.raises(InvalidInput):
        opened(whole[:start] + two + one + three)


@pytest.mark.parametrize("name", ["secrets/../x", "/etc/passwd", "home/x", "artifacts/ab", "secrets/.x"])
def test_no_member_may_land_outside_its_folder(name: str) -> None:
    assert not acceptable(name)


def test_newer_format_and_newer_revision_are_refused_with_the_remedy() -> None:
    with pytest.raises(Refused, match="update D8"):
        read_manifest(b'{"format":99,"what":1}')
    with pytest.raises(Refused, match="newer release"):
        require_known("9999", ["0001", "0002"])


def test_only_what_is_about_the_place_is_left_out_of_d8_env() -> None:
    assert is_about_the_place("export D8_DATABASE_URL=postgresql://x\n")
    assert not is_about_the_place("D8_TELEGRAM_TOKEN=x\n")
