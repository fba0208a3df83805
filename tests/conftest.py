"""Fixtures for all tests. The helpers behind them are in ``tests/support.py``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import ROOT, Process, Valkey

_KINDS = ("unit", "integration", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's folder is its kind; tests of a GPU are skipped where there is none."""
    has_gpu = any(Path("/dev").glob("nvidia[0-9]*"))
    for item in items:
        parts = item.path.relative_to(ROOT / "tests").parts
        if parts[0] in _KINDS:
            item.add_marker(parts[0])
        if not has_gpu and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here"))


@pytest.fixture
def d8_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty D8_HOME; no setting of the person who runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("D8_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("D8_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One Valkey for all tests that do not stop it. Flush it, or use names of your own."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey for one test, which may kill and restart it."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = Valkey(folder)
    yield server
    server.stop()


StartProcess = Callable[..., Process]


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """``start_process(arguments, env=..., cwd=..., name=...)``: a ``Process``, ended after the test."""
    started: list[Process] = []

    def start(
        arguments: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        name: str = "process",
    ) -> Process:
        process = Process(arguments, tmp_path / f"{name}-{len(started)}.log", env=env, cwd=cwd)
        started.append(process)
        return process

    yield start
    # The one that was started last may need the ones before it to end well.
    for process in reversed(started):
        process.stop()
