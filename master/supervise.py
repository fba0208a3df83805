"""``python -m master.supervise PLAN``: what ``d8 up`` turns into once it has planned the master's parts.

Planning needs the master's libraries; keeping the parts running does not, and on a small machine some
fifty megabytes matter. So this process starts afresh with the standard library.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from master.ready import Ready, port_is_free
from master.supervisor import Part, Supervisor, only_one
from tasks.errors import D8Error, Unhealthy
from tasks.files import ROOT
from tasks.log import configure_logging


@dataclasses.dataclass(frozen=True, kw_only=True)
class MasterPlan:
    """What runs, where it logs, and what the ports are for."""

    parts: list[Part]
    run_folder: str
    log_folder: str
    host: str
    port: int
    #: Run once everything is ready; its output is the user's.
    announce: list[str]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")


def read_plan(path: Path) -> MasterPlan:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    parts = [
        Part(**{**part, "ready": Ready(**part["ready"]) if part["ready"] else None})
        for part in found.pop("parts")
    ]
    return MasterPlan(parts=parts, **found)


def run_plan(plan: MasterPlan) -> None:
    """Start everything, announce it, and keep it running until SIGINT or SIGTERM."""
    with only_one(Path(plan.run_folder)):
        if not port_is_free(plan.host, plan.port):
            raise Unhealthy(
                f"port {plan.port} on {plan.host} is in use by another program: stop it, or choose "
                f"another with D8_PORT"
            )
        supervisor = Supervisor(plan.parts, Path(plan.log_folder))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        try:
            supervisor.start()
            subprocess.run(plan.announce, cwd=ROOT, check=False)
            supervisor.watch()
        finally:
            supervisor.close()
            stop_model_server(Path(plan.run_folder))


def stop_model_server(run_folder: Path) -> None:
    """The model server outlives its workers on purpose; with the whole fleet of this home it ends."""
    socket = str(run_folder / "models.sock").encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if b"worker.models.server" in command and socket in command:
                os.kill(int(folder.name), signal.SIGTERM)


def main(arguments: list[str]) -> int:
    configure_logging()
    try:
        run_plan(read_plan(Path(arguments[0])))
    except D8Error as error:
        sys.stderr.write(f"d8: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
