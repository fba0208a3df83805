"""What workers do with tickets: claim, renew, report; and how each of these can go wrong on the way."""

from __future__ import annotations

from master.dispatch.claims import claim_step, record_report, renew_lease
from master.dispatch.losses import record_lost
from master.dispatch.publish import Posting
from master.fleet.strikes import note_success_elsewhere
from tasks.errors import D8Error, StaleToken
from tasks.protocol import ClaimRequest, Failure, Grant, Lost, Renewal, Report
from tests.simulation.world import LEASE_S, Held, Worker, World

_FAILURES = (Failure.TRANSIENT, Failure.CRASHED, Failure.DEADLINE, Failure.PERMANENT)


def take_ticket(world: World, worker: Worker, posting: Posting) -> None:
    """Claim it; the request or its answer may be lost, and is then repeated or given up."""
    request = ClaimRequest(
        worker=worker.name,
        session=worker.session,
        step=posting.ticket.step,
        attempt=posting.ticket.attempt,
        build=worker.build,
        claim=f"{world.chance.getrandbits(48):012x}",
    )
    fate = world.chance.random() if world.faulty else 1.0
    if worker.cut or fate < 0.03:
        world.say(f"{worker.name} cannot reach the master with step {posting.ticket.step}")
        return
    answer = world.write(claim_step, request, lease_s=LEASE_S)
    if fate < 0.10:
        world.say(f"{worker.name} does not hear the answer to its claim of step {posting.ticket.step}")
        if fate < 0.05:
            return
        answer = world.write(claim_step, request, lease_s=LEASE_S)
    if isinstance(answer, Grant):
        world.say(f"{worker.name} is granted step {answer.step} attempt {answer.attempt}")
        worker.held.append(Held(grant=answer, session=worker.session, build=worker.build))


def renew(world: World, worker: Worker, held: Held) -> None:
    """The lease keeper's turn. Told to stop, the handler ends (or, deaf to it, goes on to a late report)."""
    if worker.cut:
        return
    renewal = Renewal(step=held.grant.step, token=held.grant.token, progress=0.5)
    try:
        world.write(renew_lease, renewal, lease_s=LEASE_S)
    except StaleToken:
        world.say(f"{worker.name} is told that step {held.grant.step} is not its own any more")
        if world.chance.random() < 0.7 or not world.faulty:
            worker.held.remove(held)


def finish(world: World, worker: Worker, held: Held) -> None:
    """The handler ends, well or not; its report goes out, to the disk if nobody can be reached."""
    worker.held.remove(held)
    failure = None
    if world.faulty and held.grant.task != "fleet.canary" and world.chance.random() < 0.15:
        failure = world.chance.choice(_FAILURES)
    if failure is Failure.CRASHED:
        _lose(world, worker, held)
        return
    report = _report(worker, held, failure)
    fate = world.chance.random() if world.faulty else 1.0
    if worker.cut or fate < 0.05:
        worker.spool.append(held)
        world.say(f"{worker.name} keeps the result of step {held.grant.step} on its disk")
        return
    send(world, report)
    if fate < 0.15:
        world.say(f"{worker.name} does not hear that step {held.grant.step} was recorded, and says it again")
        worker.spool.append(held)


def send(world: World, report: Report) -> None:
    try:
        recorded = world.write(record_report, report)
    except StaleToken:
        world.say(f"too late: step {report.step} attempt {report.attempt} of {report.worker}")
        return
    world.say(f"reported: step {report.step} attempt {report.attempt} {report.failure or 'done'}")
    if report.failure is None and report.attempt > 1 and not recorded.again:
        world.write(note_success_elsewhere, report.step)


def deliver_spool(world: World, worker: Worker) -> None:
    """What is on the disk; every result there is a success."""
    kept, worker.spool = worker.spool, []
    for held in kept:
        send(world, _report(worker, held, None))


def _lose(world: World, worker: Worker, held: Held) -> None:
    """The process died; its parent says so, if it can."""
    world.say(f"a child of {worker.name} dies with step {held.grant.step}")
    if worker.cut or (world.faulty and world.chance.random() < 0.2):
        return
    lost = Lost(
        worker=worker.name,
        session=held.session,
        step=held.grant.step,
        attempt=held.grant.attempt,
        failure=Failure.CRASHED,
        error="its process died",
    )
    world.write(record_lost, lost)


def _report(worker: Worker, held: Held, failure: Failure | None) -> Report:
    result = {"echo": "", "started_at_s": 1.0}
    if held.grant.task == "fleet.canary":
        result = {"tasks": [], "build": held.build}  # type: ignore[dict-item]
    return Report(
        step=held.grant.step,
        attempt=held.grant.attempt,
        token=held.grant.token,
        worker=worker.name,
        result=None if failure else result,
        failure=failure,
        error=str(failure or ""),
    )


__all__ = ["D8Error", "deliver_spool", "finish", "renew", "send", "take_ticket"]
