"""A clock that can be set, for one host: libfaketime, with one of its faults worked around.

With the monotonic clock left alone, as it must be, libfaketime 0.9.10 turns Python's ``time.sleep``
(``clock_nanosleep`` until a monotonic moment) into EINVAL. A function of our own in front of it goes
straight to the kernel.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_SLEEP = """
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_nanosleep(clockid_t id, int flags, const struct timespec *until, struct timespec *left) {
    return syscall(SYS_clock_nanosleep, id, flags, until, left) == -1 ? errno : 0;
}
"""


def why_no_clock() -> str:
    """Why a host's clock cannot be set here, or ""."""
    if not _LIBRARY.exists():
        return "libfaketime is not installed (scripts/install-services)"
    return "" if shutil.which("gcc") else "gcc is not installed"


class Clock:
    """Shared by the processes that get ``environment``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._offset = folder / f"{name}.clock"
        self._sleep = folder / "sleep.so"
        self.set(0)
        if not self._sleep.exists():
            source = folder / "sleep.c"
            source.write_text(_SLEEP)
            subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", self._sleep, source], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": f"{self._sleep}:{_LIBRARY}",
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead_s: int) -> None:
        """Seconds ahead of the real time."""
        self._offset.write_text(f"{ahead_s:+d}\n")
