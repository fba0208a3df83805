"""``d8 worker start``: wraps ``celery -A worker.app worker`` with the right queues, name and pool.

Needs nothing of the master's libraries: it also runs on machines that are workers only.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys

from tasks.build import ROOT
from tasks.errors import D8Error
from tasks.lanes import lane_queue, lanes_for, worker_queue
from tasks.log import configure_logging


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="d8 worker", description="Run a D8 worker on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser(
        "start",
        help="join the fleet and run its steps",
        description="Joins the fleet and runs its steps until it is stopped with Ctrl-C, which lets it finish "
        "what it runs. Settings: D8_MASTER_URL, D8_BROKER_URL, D8_WORKER_TOKEN; on the master's own machine "
        "nothing needs to be set.",
    )
    start.add_argument(
        "--name", default=socket.gethostname(), help="how the fleet calls it (default: the host's name)"
    )
    start.add_argument(
        "--slots", type=int, default=0, help="steps at the same time (default: cores, at most 4)"
    )
    options = parser.parse_args(arguments)
    try:
        _start(options.name, options.slots)
    except D8Error as error:
        print(f"d8: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _start(name: str, slots: int) -> None:
    """Becomes Celery; returns only by an error."""
    from tasks.build import current_build
    from worker.app import worker_name
    from worker.hardware import probe_gpus
    from worker.settings import load_worker_settings

    configure_logging()
    settings = load_worker_settings()
    settings.get_broker_url()
    name = worker_name(name)
    build = current_build().id
    lanes = lanes_for([gpu.memory_mib for gpu in probe_gpus()])
    queues = [lane_queue(lane, build) for lane in lanes] + [worker_queue(name, build)]
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker"]
    command += ["-n", f"d8@{name}", "-Q", ",".join(queues), "--pool", "prefork"]
    command += [
        "-c",
        str(slots or settings.count_slots()),
        "--without-gossip",
        "--without-mingle",
        "-l",
        "WARNING",
    ]
    os.chdir(ROOT)
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
