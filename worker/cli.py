"""``d8 worker join``, ``start`` and ``run``. The last becomes ``celery -A worker.app worker`` with the
right queues, name and pool.

Needs nothing of the master's libraries: it also runs on machines that are workers only.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import NoReturn

from tasks.errors import D8Error, Refused
from tasks.files import ROOT, default_home
from tasks.lanes import lane_queue, lanes_for, worker_queue
from tasks.log import configure_logging


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        if options.command == "join":
            from worker.joining import join_fleet

            print(join_fleet(options.master, options.code, options.name))
            return 0
        name = _find_name(options.name)
        if options.command == "run":
            _run(name, options.slots)
        _keep(name, options.slots)
    except D8Error as error:
        print(f"d8: {error}", file=sys.stderr)
        return error.exit_code


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="d8 worker", description="Run a D8 worker on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    join = commands.add_parser(
        "join",
        help="become a worker of a fleet, with an invite",
        description="Shows the invite that 'd8 worker invite' printed on the master and keeps what the "
        "master gives for it: a token and the broker's address, in this machine's home.",
    )
    join.add_argument("master", help="the master's address, such as http://pi.local:7500")
    join.add_argument("code", help="the invite's code")
    join.add_argument(
        "--name", default="", help="how the fleet calls this machine (default: the host's name)"
    )
    for verb, text in (
        ("start", "run the fleet's steps, and change to the fleet's build when asked"),
        ("run", "the same without a keeper: this process cannot change its own code"),
    ):
        start = commands.add_parser(
            verb,
            help=text,
            description="Runs the fleet's steps until it is stopped with Ctrl-C, which lets it finish what it "
            "runs. Needs 'd8 worker join' once, or D8_MASTER_URL, D8_BROKER_URL and D8_WORKER_TOKEN; on the "
            "master's own machine nothing needs to be set.",
        )
        start.add_argument(
            "--name", default="", help="how the fleet calls it (default: as it joined, else the host's name)"
        )
        start.add_argument(
            "--slots", type=int, default=0, help="steps at the same time (default: cores, at most 4)"
        )
    return parser.parse_args(arguments)


def _find_name(given: str) -> str:
    from worker.joined import find_membership
    from worker.naming import worker_name

    membership = find_membership(default_home())
    if membership is None:
        return worker_name(given or socket.gethostname())
    own = membership.joined.worker
    if given and worker_name(given) != own:
        raise Refused(
            f"this machine joined the fleet as {own!r} and can only be that: leave out --name, or join again "
            f"with another invite"
        )
    return own


def _keep(name: str, slots: int) -> NoReturn:
    """Becomes the keeper of workers of this name, in a process that has loaded next to nothing."""
    from tasks.build import build_id

    folder = default_home() / "worker" / name
    keeper = [sys.executable, "-m", "worker.keeper", str(folder), str(ROOT), build_id()]
    os.chdir(ROOT)
    os.execv(sys.executable, [*keeper, "--name", name, "--slots", str(slots)])  # noqa: S606


def _run(name: str, slots: int) -> NoReturn:
    """Becomes Celery."""
    from tasks.build import current_build
    from worker.hardware import probe_gpus
    from worker.settings import load_worker_settings

    configure_logging()
    settings = load_worker_settings()
    settings.get_broker_url()
    build = current_build().id
    lanes = lanes_for([gpu.memory_mib for gpu in probe_gpus()])
    queues = [lane_queue(lane, build) for lane in lanes] + [worker_queue(name, build)]
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker"]
    command += ["-n", f"d8@{name}", "-Q", ",".join(queues), "--pool", "prefork"]
    command += ["-c", str(slots or settings.count_slots())]
    command += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
    os.chdir(ROOT)
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
