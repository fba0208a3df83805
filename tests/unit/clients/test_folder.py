"""From a zip to a folder: nothing hostile gets out, nothing half-written stays."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from master.clients import folder
from master.clients.folder import MAX_FILE_BYTES, MAX_FILES, place_folder, read_site
from tasks.errors import InvalidInput, Unhealthy
from worker.handlers.client_site.archive import pack, unpack

FILES = {"index.html": b"<h1>hi</h1>", "img/logo.svg": b"<svg/>"}
PROJECT = "bar-sol-12345678"


def zip_of(*members: tuple[str, bytes, int], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, data)
    return buffer.getvalue()


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_packed_site_comes_back_whole_and_its_bytes_are_always_the_same() -> None:
    assert read_site(pack(FILES)) == FILES == unpack(pack(FILES))
    assert pack(FILES) == pack(dict(reversed(FILES.items())))


@pytest.mark.parametrize(
    "name",
    [
        "../x", "a/../../x", "/etc/passwd", "C:/x", "a\\b", ".hidden", "a//b", "a/", "", "x" * 200,
        "a/b/c/d/e", "a\nb",
    ],
)  # fmt: skip
def test_a_member_with_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="plain relative path"):
        read_site(zip_of((name, b"x", 0o100644)))


def test_links_bombs_doubles_and_crowds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="regular file"):
        read_site(zip_of(("index.html", b"/etc/passwd", stat.S_IFLNK | 0o777)))
    with pytest.raises(InvalidInput, match="bytes"):
        read_site(zip_of(("index.html", b"\0" * (MAX_FILE_BYTES + 1), 0o100644)))
    with pytest.raises(InvalidInput, match="larger than"):
        read_site(zip_of(*((f"f{i}", b"\0" * MAX_FILE_BYTES, 0o100644) for i in range(5))))
    with pytest.raises(InvalidInput, match="files"):
        read_site(zip_of(*((f"f{i}", b"", 0o100644) for i in range(MAX_FILES + 1))))
    with pytest.raises(InvalidInput, match="twice"):
        read_site(zip_of(("a", b"1", 0o100644), ("a/b", b"2", 0o100644)))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_zip_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="nothing was written"):
        read_site(data)


@given(
    st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3),
)
@example(zipfile.ZIP_DEFLATED, [(41, 255)])  # inside the compressed bytes
@example(zipfile.ZIP_STORED, [(-6, 255)])  # where the directory begins
def test_a_zip_that_was_damaged_is_refused_or_holds_what_it_held(
    method: int, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(zip_of(("a.txt", b"hello world " * 20, 0o100644), method=method))
    for at, byte in damage:
        data[at % len(data)] = byte
    try:
        files = read_site(bytes(data))
    except InvalidInput:
        return
    assert list(files.values()) in ([b"hello world " * 20], [])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_no_worker_uses_is_refused(method: int) -> None:
    with pytest.raises(InvalidInput, match="not deflate"):
        read_site(zip_of(("a.txt", b"hello", 0o100644), method=method))


def test_a_lying_size_does_not_get_past_the_limit() -> None:
    data = zip_of(("index.html", b"\0" * (MAX_FILE_BYTES + 10), 0o100644))
    honest = (MAX_FILE_BYTES + 10).to_bytes(4, "little")
    with pytest.raises(InvalidInput):
        read_site(data.replace(honest, (10).to_bytes(4, "little")))


def test_placing_twice_changes_nothing_and_placing_other_files_replaces_all(tmp_path: Path) -> None:
    target = place_folder(tmp_path / "out", PROJECT, FILES)
    inode = target.stat().st_ino
    assert place_folder(tmp_path / "out", PROJECT, FILES).stat().st_ino == inode
    place_folder(tmp_path / "out", PROJECT, {"site/index.html": b"new"})
    assert tree(tmp_path / "out") == {f"{PROJECT}/site/index.html": b"new"}


@pytest.mark.parametrize("project", ["..", "../x", "", "A", "a/b", "-a", "x" * 41])
def test_a_folder_name_that_is_no_project_id_is_refused(tmp_path: Path, project: str) -> None:
    with pytest.raises(InvalidInput):
        place_folder(tmp_path, project, FILES)


class Crash(Exception):
    pass


def test_a_crash_at_any_flush_is_mended_by_doing_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folder._flush
    new = {"site/index.html": b"new", "site/a.css": b"css"}
    for crash_at in range(1, 5):
        root = tmp_path / str(crash_at)
        place_folder(root, PROJECT, FILES)
        calls = 0

        def flush(path: Path, crash_at: int = crash_at) -> None:
            nonlocal calls
            calls += 1
            if calls == crash_at:
                raise Crash
            real(path)

        monkeypatch.setattr(folder, "_flush", flush)
        try:
            place_folder(root, PROJECT, new)
        except Crash:
            there = tree(root / PROJECT)
            assert there in (FILES, new)
        monkeypatch.setattr(folder, "_flush", real)
        place_folder(root, PROJECT, new)
        assert tree(root) == {f"{PROJECT}/{path}": data for path, data in new.items()}


def test_a_crash_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    place_folder(tmp_path, PROJECT, FILES)
    (tmp_path / PROJECT).rename(tmp_path / f".{PROJECT}.old")
    (tmp_path / f".{PROJECT}.new").mkdir()
    place_folder(tmp_path, PROJECT, {"a": b"1"})
    assert tree(tmp_path) == {f"{PROJECT}/a": b"1"}


def test_a_disk_that_refuses_leaves_the_old_folder_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_folder(tmp_path, PROJECT, FILES)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unhealthy, match="No space left on device"):
        place_folder(tmp_path, PROJECT, {"a": b"1"})
    assert tree(tmp_path / PROJECT) == FILES
