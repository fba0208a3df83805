"""Keeps a worker running and changes its code: ``d8 worker start`` is this. A worker that crashes is
started again: nobody may be there to do it.

The worker's agent prepares another build beside the one that runs and asks for the switch; the keeper
waits until the worker has finished what it runs, starts the other build on trial, and goes back when
that does not prove itself. It imports the standard library only, and stays the process that the
owner, systemd or the supervisor started.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from worker.switch import Code, Standing, SwitchFiles

#: A build that has not proved itself by then is taken back. The master may be away meanwhile.
TRIAL_S = 900.0
_LOOK_EVERY_S = 0.5
#: It was stopped, or said what is wrong with its settings: starting it again would change nothing.
_MEANT = frozenset({0, 2, 3, 4, 5, 130})
#: One that ends again and again is started less and less often, up to this; one that has run for as long
#: was fine.
_LONGEST_WAIT_S = 60.0
_PR_SET_PDEATHSIG = 1


class Keeper:
    """Runs one worker after the other until it is told to stop, or one ends as it was meant to."""

    def __init__(self, files: SwitchFiles, installed: Code, arguments: list[str]) -> None:
        self._files = files
        self._installed = installed
        self._arguments = arguments
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._error = ""
        self._wait_s = 1.0

    def run(self) -> int:
        """The exit status of the last worker."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, self._stop)
        # Ctrl-C reaches the worker by itself, since it is in the same process group.
        signal.signal(signal.SIGINT, self._note_stop)
        standing = self._find_standing()
        while True:
            began = time.monotonic()
            self._child = self._launch(standing)
            code, verdict = self._watch(standing)
            # A trial that was passed is written down.
            standing = self._files.read_standing() or standing
            if self._stopping:
                return code
            wanted = self._files.take_switch()
            if wanted is not None:
                standing = self._begin_trial(standing, wanted)
            elif standing.previous is not None:
                standing = self._roll_back(
                    standing, verdict or f"it ended with status {code} during its trial"
                )
            elif code in _MEANT:
                return code
            else:
                self._wait_before_restart(code, time.monotonic() - began)
                if self._stopping:
                    return code

    def _find_standing(self) -> Standing:
        """What ran last, unless its owner has changed what is installed, or it is gone."""
        self._files.take_switch()
        known = self._files.read_standing()
        if (
            known is not None
            and known.installed_build == self._installed.build
            and Path(known.code.root).is_dir()
            and Path(known.code.python).exists()
        ):
            return known
        self._files.forget_standing()
        return Standing(code=self._installed, installed_build=self._installed.build)

    def _begin_trial(self, standing: Standing, wanted: Code) -> Standing:
        self._say(f"changing from build {standing.code.build} to {wanted.build}")
        self._error = ""
        self._files.forget_verdict()
        chosen = dataclasses.replace(standing, code=wanted, previous=standing.code)
        self._files.write_standing(chosen)
        return chosen

    def _roll_back(self, standing: Standing, why: str) -> Standing:
        assert standing.previous is not None, "only a trial is rolled back"
        self._error = f"build {standing.code.build} was taken back: {why}"
        self._say(self._error)
        chosen = dataclasses.replace(standing, code=standing.previous, previous=None)
        self._files.write_standing(chosen)
        return chosen

    def _watch(self, standing: Standing) -> tuple[int, str]:
        """Wait for the worker's end: its status, and why it was ended if that was our doing."""
        assert self._child is not None, "it was started"
        end = time.monotonic() + TRIAL_S
        while standing.previous is not None and self._child.poll() is None:
            verdict = self._files.take_verdict(standing.code.build)
            if verdict == "":
                self._say(f"build {standing.code.build} has proved itself")
                self._files.write_standing(dataclasses.replace(standing, previous=None))
                break
            if verdict or time.monotonic() > end:
                self._child.terminate()
                return self._child.wait(), verdict or f"it did not prove itself within {TRIAL_S:.0f} s"
            time.sleep(_LOOK_EVERY_S)
        return self._child.wait(), ""

    def _wait_before_restart(self, code: int, ran_s: float) -> None:
        self._wait_s = 1.0 if ran_s > _LONGEST_WAIT_S else self._wait_s
        self._say(f"the worker ended with status {code}; it is started again in {self._wait_s:.0f} s")
        end = time.monotonic() + self._wait_s
        self._wait_s = min(_LONGEST_WAIT_S, self._wait_s * 2)
        while not self._stopping and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)

    def _launch(self, standing: Standing) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": standing.code.root,
            "D8_KEPT": "1",
            "D8_TRIAL_FROM": standing.previous.build if standing.previous else "",
            "D8_UPDATE_ERROR": self._error,
        }
        return subprocess.Popen(
            [standing.code.python, "-P", "-m", "worker.cli", "run", *self._arguments],
            cwd=standing.code.root,
            env=environment,
            # There are no threads here that a fork could catch in the middle of something.
            preexec_fn=_die_with_parent,  # noqa: PLW1509
        )

    def _stop(self, *_: object) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def _note_stop(self, *_: object) -> None:
        self._stopping = True

    def _say(self, text: str) -> None:
        sys.stderr.write(f"d8 keeper: {text}\n")
        sys.stderr.flush()


def _die_with_parent() -> None:
    """A worker without its keeper could not be stopped by whoever started it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """``python -m worker.keeper FOLDER ROOT BUILD [arguments of the worker]``"""
    folder, root, build, *rest = arguments
    installed = Code(root=root, python=sys.executable, build=build)
    return Keeper(SwitchFiles(Path(folder)), installed, rest).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
