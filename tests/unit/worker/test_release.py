"""Releases: packed the same each time, refused unless signed, whole and what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from master.fleet.releases import Releases, make_release_key
from tasks.build import build_id
from tasks.errors import Unhealthy
from tasks.files import ROOT
from worker.release import UpdateFailed, clear_releases, install, same_libraries, verify


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    make_release_key(tmp_path / "release.key")
    return Releases(ROOT, build_id(), tmp_path / "release.key")


def test_release_is_the_same_to_the_byte_each_time(releases: Releases, tmp_path: Path) -> None:
    again = Releases(ROOT, build_id(), tmp_path / "release.key")
    assert releases.get() == again.get()


def test_key_is_made_once_and_closed_to_others(releases: Releases, tmp_path: Path) -> None:
    before = (tmp_path / "release.key").read_text()
    make_release_key(tmp_path / "release.key")
    assert (tmp_path / "release.key").read_text() == before
    assert (tmp_path / "release.key").stat().st_mode & 0o077 == 0
    assert (tmp_path / "release.pub").read_text().strip() == releases.public_key


def test_release_unpacks_to_the_build_that_it_says(releases: Releases, tmp_path: Path) -> None:
    release, archive = releases.get()
    verify(release, archive, build_id(), releases.public_key)
    notes: list[str] = []
    code = install(release, archive, tmp_path / "releases", notes.append)
    assert build_id(Path(code.root)) == release.build == code.build
    assert same_libraries(ROOT, Path(code.root))
    assert (Path(code.root) / "scripts" / "env").stat().st_mode & 0o111
    assert notes == [f"unpacking build {release.build}"]
    assert not list((tmp_path / "releases").glob(".part*"))
    install(release, archive, tmp_path / "releases", notes.append)
    assert len(notes) == 1, "it is there already"


def test_release_that_was_tampered_with_is_refused(releases: Releases, tmp_path: Path) -> None:
    release, archive = releases.get()
    with pytest.raises(UpdateFailed, match="damaged"):
        verify(release, archive[:-1] + b"x", release.build, releases.public_key)
    with pytest.raises(UpdateFailed, match="asked for"):
        verify(release, archive, "c" * 12, releases.public_key)
    make_release_key(tmp_path / "other.key")
    other = Releases(ROOT, build_id(), tmp_path / "other.key").public_key
    with pytest.raises(UpdateFailed, match="not signed by the key"):
        verify(release, archive, release.build, other)
    with pytest.raises(UpdateFailed, match="not signed"):
        verify(release, archive, release.build, "")


def test_signed_archive_with_other_files_is_refused(releases: Releases, tmp_path: Path) -> None:
    release, archive = releases.get()
    lying = release.model_copy(update={"build": "c" * 12})
    with pytest.raises(UpdateFailed, match="are those of build"):
        install(lying, archive, tmp_path / "releases", lambda _: None)
    assert not list((tmp_path / "releases").iterdir())


def test_changed_code_is_not_handed_out_as_the_old_build(tmp_path: Path) -> None:
    make_release_key(tmp_path / "release.key")
    with pytest.raises(Unhealthy, match="was changed since this master started"):
        Releases(ROOT, "0" * 12, tmp_path / "release.key").get()


def test_releases_that_nothing_refers_to_are_removed(tmp_path: Path) -> None:
    for name in ("old", "kept"):
        (tmp_path / name).mkdir()
    clear_releases(tmp_path, keep={str(tmp_path / "kept")})
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
