"""The fleet, as its master shows it: builds, workers, clocks, what is stuck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from master.cli.doctor.ground import Finding, Ground, fine, look, missing
from tasks.errors import D8Error

_SKEW_S = 30


def check_master(ground: Ground) -> Finding:
    from tasks.build import current_build

    try:
        fleet = ground.fleet()
    except D8Error as error:
        return missing("master", str(error), "'d8 up' starts it")
    here, there = current_build().id, fleet.status["master_build"]
    if there != here:
        return look(
            "master", f"runs build {there}, this checkout is {here}",
            "start it again: 'd8 down', then 'd8 up'",
        )  # fmt: skip
    return fine("master", f"answers at {fleet.url}, build {here}")


def check_dispatch(ground: Ground) -> Finding:
    if ground.fleet().status["state"] == "paused":
        return look("dispatch", "paused: no steps are sent", "'d8 resume'")
    return fine("dispatch", "steps are sent")


def check_workers(ground: Ground) -> Finding:
    active = [worker["name"] for worker in ground.fleet().workers if worker["state"] == "active"]
    if not active:
        return missing("workers", "none is active", "'d8 worker start' on each machine")
    return fine("workers", ", ".join(active))


def _of_state(
    check: str, state: str, remedy: Callable[[list[dict[str, Any]]], str]
) -> Callable[[Ground], Finding]:
    def find(ground: Ground) -> Finding:
        found = [worker for worker in ground.fleet().workers if worker["state"] == state]
        if not found:
            return fine(check, "none")
        text = "; ".join(f"{worker['name']}: {worker['reason'] or state}" for worker in found)
        return look(check, text, remedy(found))

    return find


check_builds = _of_state(
    "wrong builds", "wrong_build", lambda _: "'d8 worker update --all', or bring their code to the master's"
)
check_offline = _of_state(
    "offline workers",
    "offline",
    lambda found: f"start them there, or 'd8 worker remove {found[0]['name']}' if they are gone for good",
)
check_quarantined = _of_state(
    "quarantined workers",
    "quarantined",
    lambda found: f"see to the machine, then 'd8 worker resume {found[0]['name']}'",
)


def check_undone_updates(ground: Ground) -> Finding:
    undone = [worker for worker in ground.fleet().workers if worker["update_error"]]
    if not undone:
        return fine("updates", "none was undone")
    text = "; ".join(f"{worker['name']}: {worker['update_error']}" for worker in undone)
    return look("updates", text, f"'d8 worker update {undone[0]['name']}' tries again")


def check_clocks(ground: Ground) -> Finding:
    off = [worker for worker in ground.fleet().workers if abs(worker["clock_skew_s"]) > _SKEW_S]
    if not off:
        return fine("workers' clocks", "as the master's")
    text = "; ".join(f"{worker['name']}: {worker['clock_skew_s']:+.0f} s" for worker in off)
    return look("workers' clocks", text, "timedatectl set-ntp true, on each of them")


def check_worker_disks(ground: Ground) -> Finding:
    full = [worker for worker in ground.fleet().workers if worker["hardware"]["disk_free_mib"] < 2048]
    if not full:
        return fine("workers' disks", "enough room")
    text = "; ".join(f"{worker['name']}: {worker['hardware']['disk_free_mib']} MiB" for worker in full)
    return look("workers' disks", text, "make room there: at least 2048 MiB")


CHECKS = {
    "master": check_master,
    "dispatch": check_dispatch,
    "workers": check_workers,
    "wrong builds": check_builds,
    "offline workers": check_offline,
    "quarantined workers": check_quarantined,
    "updates": check_undone_updates,
    "workers' clocks": check_clocks,
    "workers' disks": check_worker_disks,
}
