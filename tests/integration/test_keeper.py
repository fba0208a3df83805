"""The keeper with real processes that stand in for workers."""

from __future__ import annotations

import signal
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.support import ROOT, Process, wait_until
from worker.switch import Code, SwitchFiles

#: What a build does when it is started, by the keeper's own command: a module ``worker.cli``.
_WAITS = "import time\nopen(mark, 'a').write(build + '\\n')\ntime.sleep(600)\n"
_ENDS = "open(mark, 'a').write(build + '\\n')\nsys.exit(7)\n"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def _code(tmp_path: Path, mark: Path, build: str, body: str) -> Code:
    root = tmp_path / build
    (root / "worker").mkdir(parents=True)
    (root / "worker" / "__init__.py").touch()
    text = f"import sys\nmark, build = {str(mark)!r}, {build!r}\n{body}"
    (root / "worker" / "cli.py").write_text(text)
    return Code(root=str(root), python=sys.executable, build=build)


def _keep(start_process: StartProcess, folder: Path, code: Code) -> Process:
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from worker.keeper import Keeper
        from worker.switch import Code, SwitchFiles
        code = Code(root={code.root!r}, python={code.python!r}, build={code.build!r})
        sys.exit(Keeper(SwitchFiles(Path({str(folder)!r})), code, []).run())
        """
    )
    return start_process([sys.executable, "-c", script], cwd=ROOT, name="keeper")


def _started(mark: Path) -> list[str]:
    return mark.read_text().split() if mark.exists() else []


def test_worker_that_says_what_is_wrong_ends_the_keeper_with_its_status(
    start_process: StartProcess, tmp_path: Path, mark: Path
) -> None:
    keeper = _keep(start_process, tmp_path / "files", _code(tmp_path, mark, "old", "sys.exit(3)\n"))
    assert keeper.wait(20) == 3


def test_worker_that_crashes_is_started_again(
    start_process: StartProcess, tmp_path: Path, mark: Path
) -> None:
    keeper = _keep(start_process, tmp_path / "files", _code(tmp_path, mark, "old", _ENDS))
    # Ended by itself for the second time: a signal before that would be what it ends by.
    keeper.wait_for_line("(?s)started again.*started again")
    assert _started(mark)[:2] == ["old", "old"]
    keeper.signal(signal.SIGTERM)
    assert keeper.wait(20) == 7


def test_asked_for_switch_starts_the_other_build_and_keeps_it_once_it_has_proved_itself(
    start_process: StartProcess, tmp_path: Path, mark: Path
) -> None:
    files = SwitchFiles(tmp_path / "files")
    old, new = (
        _code(tmp_path, mark, "old", _WAITS + "\n"),
        _code(tmp_path, mark, "new", _WAITS),
    )
    keeper = _keep(start_process, tmp_path / "files", old)
    wait_until(lambda: _started(mark) == ["old"], 20, "the old build runs")
    files.ask_switch(new)
    _end_child(keeper)
    wait_until(lambda: _started(mark) == ["old", "new"], 20, "the new build runs", keeper.tail)
    standing = files.read_standing()
    assert standing is not None
    assert standing.previous == old
    files.end_trial("new", "")
    keeper.wait_for_line("has proved itself")
    keeper.signal(signal.SIGTERM)
    keeper.wait(20)
    standing = files.read_standing()
    assert standing is not None
    assert (standing.code, standing.previous) == (new, None)
    again = _keep(start_process, tmp_path / "files", old)
    wait_until(lambda: _started(mark) == ["old", "new", "new"], 20, "it goes on with the new one", again.tail)


def test_build_that_ends_during_its_trial_is_taken_back(
    start_process: StartProcess, tmp_path: Path, mark: Path
) -> None:
    files = SwitchFiles(tmp_path / "files")
    old, new = _code(tmp_path, mark, "old", _WAITS), _code(tmp_path, mark, "new", _ENDS)
    keeper = _keep(start_process, tmp_path / "files", old)
    wait_until(lambda: _started(mark) == ["old"], 20, "the old build runs")
    files.ask_switch(new)
    _end_child(keeper)
    keeper.wait_for_line("build new was taken back: it ended with status 7 during its trial")
    wait_until(lambda: _started(mark) == ["old", "new", "old"], 20, "the old build runs again")


def test_build_that_says_that_it_failed_is_ended_and_taken_back(
    start_process: StartProcess, tmp_path: Path, mark: Path
) -> None:
    files = SwitchFiles(tmp_path / "files")
    old, new = _code(tmp_path, mark, "old", _WAITS), _code(tmp_path, mark, "new", _WAITS)
    keeper = _keep(start_process, tmp_path / "files", old)
    wait_until(lambda: _started(mark) == ["old"], 20, "the old build runs")
    files.ask_switch(new)
    _end_child(keeper)
    wait_until(lambda: _started(mark) == ["old", "new"], 20, "the new build runs")
    files.end_trial("new", "no library x")
    keeper.wait_for_line("build new was taken back: no library x")
    wait_until(lambda: _started(mark)[-1] == "old", 20, "the old build runs again")


def test_code_that_its_owner_changed_by_hand_goes_first_again(
    start_process: StartProcess, tmp_path: Path, mark: Path
) -> None:
    files = SwitchFiles(tmp_path / "files")
    old, new = _code(tmp_path, mark, "old", _WAITS), _code(tmp_path, mark, "new", _WAITS)
    keeper = _keep(start_process, tmp_path / "files", old)
    wait_until(lambda: _started(mark) == ["old"], 20, "the old build runs")
    files.ask_switch(new)
    _end_child(keeper)
    wait_until(lambda: _started(mark) == ["old", "new"], 20, "the new build runs")
    keeper.signal(signal.SIGTERM)
    keeper.wait(20)
    by_hand = _code(tmp_path, mark, "by-hand", _WAITS)
    _keep(start_process, tmp_path / "files", by_hand)
    wait_until(lambda: _started(mark)[-1] == "by-hand", 20, "the installed code runs")


def test_worker_does_not_outlive_its_keeper(start_process: StartProcess, tmp_path: Path, mark: Path) -> None:
    import psutil

    keeper = _keep(start_process, tmp_path / "files", _code(tmp_path, mark, "old", _WAITS))
    wait_until(lambda: _started(mark) == ["old"], 20, "it runs")
    (child,) = psutil.Process(keeper.pid).children()
    keeper.signal(signal.SIGKILL)
    wait_until(lambda: not child.is_running() or child.status() == "zombie", 20, "the worker has ended")


def _end_child(keeper: Process) -> None:
    """As the agent ends its own worker once a build is prepared."""
    import psutil

    for child in psutil.Process(keeper.pid).children():
        child.terminate()
