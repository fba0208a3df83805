"""Which ready steps are sent next, and where. Pure: no database, no broker."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from tasks.needs import NOTHING, Needs, why_unfit
from tasks.protocol import Hardware


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    step_id: int
    run_id: str
    #: A larger number goes first.
    priority: int
    #: Lanes that can run it, best first.
    lanes: tuple[str, ...]
    task: str = ""
    needs: Needs = NOTHING
    #: The only worker that may run it, or "".
    only_worker: str = ""
    #: The worker on which its last attempt failed, or "": another one had better try.
    avoid: str = ""


@dataclasses.dataclass(kw_only=True)
class Host:
    """A worker as placement sees it."""

    name: str
    lanes: tuple[str, ...]
    hardware: Hardware
    #: On the master's own machine.
    local: bool = False
    #: Slots that nothing runs in and no ticket is out for.
    idle: int = 0
    #: Gets work; the others are known, but have none now (offline, draining, ...).
    active: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed:
    step_id: int
    lane: str
    #: The worker whose own queue gets the ticket; "" for the lane's.
    worker: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unservable:
    step_id: int
    #: Why no worker that this fleet knows can ever run it.
    reason: str


@dataclasses.dataclass(kw_only=True)
class Fleet:
    """What there is to place on. ``place`` uses up what is free in it."""

    #: For each lane with an active worker, how many more tickets it takes.
    free: dict[str, int]
    hosts: Sequence[Host] = ()
    #: Seconds a step by task and worker, as recorded.
    paces: Mapping[tuple[str, str], float] = dataclasses.field(default_factory=dict)


def place(candidates: Iterable[Candidate], fleet: Fleet) -> tuple[list[Placed], list[Unservable]]:
    """Fill the lanes: higher priority first; among equals one step of each run in turn, so that a
    run of ten steps is not kept waiting by a run of ten thousand.

    A step goes to the best of its lanes that is there; when that lane is full it waits, rather than
    take a place on hardware that suits it less. Within the lane, a worker with an idle slot is chosen
    by what it holds and how fast it is, and gets the ticket on its own queue.
    """
    placed: list[Placed] = []
    unservable: list[Unservable] = []
    for group in _by_priority(candidates):
        turns = deque(group.values())
        while turns and any(count > 0 for count in fleet.free.values()):
            queue = turns.popleft()
            candidate = queue.popleft()
            found = _place_one(candidate, fleet)
            if found is not None:
                placed.append(found)
            elif reason := why_unservable(candidate, fleet.hosts):
                unservable.append(Unservable(step_id=candidate.step_id, reason=reason))
            if queue:
                turns.append(queue)
    return placed, unservable


def why_unservable(candidate: Candidate, hosts: Sequence[Host]) -> str:
    """Why none of these workers can ever run it, or "". A fleet without workers may get some yet."""
    known = [host for host in hosts if not candidate.only_worker or host.name == candidate.only_worker]
    if not known:
        return ""
    reasons = {host.name: _why_never(candidate, host) for host in known}
    if not all(reasons.values()):
        return ""
    listed = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())[:8])
    remedy = f"add a machine that can, then 'd8 run retry {candidate.run_id}'"
    return f"no worker of this fleet can run it ({listed}): {remedy}"


def _why_never(candidate: Candidate, host: Host) -> str:
    if not set(candidate.lanes) & set(host.lanes):
        return f"it serves {', '.join(host.lanes)}, the step wants {' or '.join(candidate.lanes)}"
    return why_unfit(candidate.needs, host.hardware)


def _place_one(candidate: Candidate, fleet: Fleet) -> Placed | None:
    if candidate.only_worker:
        host = next((host for host in fleet.hosts if host.name == candidate.only_worker), None)
        lane = next((lane for lane in candidate.lanes if host and host.active and lane in host.lanes), None)
        return Placed(step_id=candidate.step_id, lane=lane, worker=candidate.only_worker) if lane else None
    fitting = [
        host
        for host in fleet.hosts
        if host.active and not (candidate.needs.binding and why_unfit(candidate.needs, host.hardware))
    ]
    served = {lane for host in fitting for lane in host.lanes} if candidate.needs.binding else fleet.free
    lane = next((lane for lane in candidate.lanes if lane in served and lane in fleet.free), None)
    if lane is None or fleet.free[lane] <= 0:
        return None
    fleet.free[lane] -= 1
    return Placed(step_id=candidate.step_id, lane=lane, worker=_choose(candidate, lane, fitting, fleet))


def _choose(candidate: Candidate, lane: str, fitting: Sequence[Host], fleet: Fleet) -> str:
    """The worker that is to run it, or "" for whoever of the lane is free first."""
    able = [host for host in fitting if lane in host.lanes]
    idle = [host for host in able if host.idle > 0]
    others = [host for host in idle if host.name != candidate.avoid]
    in_lane = [host for host in fleet.hosts if host.active and lane in host.lanes]
    if len(in_lane) > 1 and (others or idle):
        best = min(others or idle, key=lambda host: _rank(candidate, host, fleet.paces))
        best.idle -= 1
        return best.name
    if len(able) < len(in_lane):
        # Not everybody in the lane may run it: it waits at one that may, the least busy.
        best = max(able, key=lambda host: (host.idle, host.name))
        best.idle -= 1
        return best.name
    return ""


def _rank(
    candidate: Candidate, host: Host, paces: Mapping[tuple[str, str], float]
) -> tuple[bool, bool, float, str]:
    """Smallest first: holds the model, is here, is fast at this task. One that has never run the task
    is tried as if it were the fastest."""
    lacks_model = bool(candidate.needs.model) and candidate.needs.model not in host.hardware.models
    return lacks_model, not host.local, paces.get((candidate.task, host.name), 0.0), host.name


def _by_priority(candidates: Iterable[Candidate]) -> list[dict[str, deque[Candidate]]]:
    """Groups of equal priority, highest first; in each, the runs with their steps in order."""
    groups: dict[int, dict[str, deque[Candidate]]] = {}
    for candidate in sorted(candidates, key=lambda c: c.step_id):
        runs = groups.setdefault(-candidate.priority, {})
        runs.setdefault(candidate.run_id, deque()).append(candidate)
    return [groups[key] for key in sorted(groups)]
