"""One seed: chance chooses who acts next, until it stops choosing faults; then all must come to rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select, text

from master.fleet.roster import drain_worker, remove_worker
from master.flows.again import retry_from_step
from master.flows.runs import cancel_run, retry_run, start_run
from master.store.tables import steps
from tasks.errors import D8Error
from tests.simulation.watch import Violation, Watch
from tests.simulation.working import finish, renew, take_ticket
from tests.simulation.world import Worker, World

ACTIONS = 70
#: Virtual rounds until everything has ended, once nothing goes wrong any more.
_ROUNDS = 400

Action = Callable[[World], None]


def play(seed: int) -> World:
    """``Violation`` when a promise is broken; the world's trace tells how it came to that."""
    world = World(seed)
    watch = Watch(world)
    world.watch = watch.look
    for _ in range(world.chance.randint(1, 3)):
        _start(world)
    actions, weights = zip(*_ACTIONS, strict=True)
    try:
        for _ in range(ACTIONS):
            action = world.chance.choices(actions, weights)[0]
            watch.retrying = action is _retry
            action(world)
            watch.look()
        _come_to_rest(world)
    except Violation as violation:
        world.say(f"VIOLATION {violation}")
        violation.add_note("\n".join(world.trace[-40:]))
        raise
    return world


def _start(world: World) -> None:
    steps = world.chance.randint(1, 4)
    world.runs.append(world.write(start_run, "noop", {"steps": steps}))
    world.say(f"run {world.runs[-1]} of {steps} steps")
    if world.chance.random() < 0.8:
        world.advance_all()


def _pass_time(world: World) -> None:
    world.now += timedelta(seconds=world.chance.choice((0.2, 1, 3, 8, 25)))


def _publish(world: World) -> None:
    world.publish()


def _sweep(world: World) -> None:
    world.sweep()


def _advance(world: World) -> None:
    world.advance_all()


def _deliver(world: World) -> None:
    """Any ticket, to anybody who listens to its queue; now and then to somebody who should not have it."""
    names = sorted(name for name, postings in world.queues.items() if postings)
    if not names:
        return
    name = world.chance.choice(names)
    postings = world.queues[name]
    listening = [
        worker
        for worker in world.workers
        if worker.up
        and len(worker.held) < worker.slots
        and (name in world.listens_to(worker) or world.chance.random() < 0.05)
    ]
    if listening:
        posting = postings.pop(world.chance.randrange(len(postings)))
        if world.chance.random() < 0.05:
            # The broker gives out the same message once more later.
            postings.append(posting)
        take_ticket(world, world.chance.choice(listening), posting)


def _work(world: World) -> None:
    for worker in world.workers:
        for held in list(worker.held):
            if world.chance.random() < 0.5:
                finish(world, worker, held)


def _renew(world: World) -> None:
    for worker in world.workers:
        for held in list(worker.held):
            renew(world, worker, held)


def _heartbeats(world: World) -> None:
    for worker in world.workers:
        world.heartbeat(worker)


def _any_worker(world: World) -> Worker:
    return world.chance.choice(world.workers)


def _crash(world: World) -> None:
    worker = _any_worker(world)
    world.say(f"{worker.name} crashes with {len(worker.held)} steps in hand")
    worker.up = False
    worker.held.clear()
    if world.chance.random() < 0.6:
        world.start_worker(worker)


def _cut(world: World) -> None:
    worker = _any_worker(world)
    worker.cut = not worker.cut
    world.say(f"{worker.name} is {'cut off' if worker.cut else 'back'}")


def _lose_queues(world: World) -> None:
    world.say("the broker loses everything")
    world.queues.clear()


def _upgrade(world: World) -> None:
    world.new_build()
    world.say(f"the fleet's build is {world.build}")


def _update_worker(world: World) -> None:
    """It changes over: what it runs is finished first, unless it is in a hurry."""
    worker = _any_worker(world)
    if worker.build != world.build and worker.up:
        worker.trial_from = worker.build
        worker.build = world.build
        world.say(f"{worker.name} changes to build {worker.build}")
        world.start_worker(worker)


def _drain(world: World) -> None:
    worker = _any_worker(world)
    resume = world.chance.random() < 0.6
    world.say(f"{worker.name} is {'resumed' if resume else 'drained'}")
    _try(lambda: world.write(drain_worker, worker.name, resume=resume, by="owner"))


def _remove(world: World) -> None:
    worker = _any_worker(world)
    world.say(f"{worker.name} is removed, and joins again")
    _try(lambda: world.write(remove_worker, worker.name, by="owner"))
    worker.joined = False


def _cancel(world: World) -> None:
    if world.runs:
        run_id = world.chance.choice(world.runs)
        world.say(f"{run_id} is cancelled")
        _try(lambda: world.write(cancel_run, run_id, by="owner"))


def _retry(world: World) -> None:
    if world.runs:
        run_id = world.chance.choice(world.runs)
        if _try(lambda: world.write(retry_run, run_id, by="owner")):
            world.say(f"{run_id} is tried again")


def _retry_from_step(world: World) -> None:
    """Of a run that has failed or goes on, from any of its steps, some of which stand for nothing any more."""
    if world.runs:
        run_id = world.chance.choice(world.runs)
        keys = world.read(
            lambda c: c.execute(select(steps.c.key).where(steps.c.run_id == run_id)).scalars().all()
        )
        if keys:
            key = world.chance.choice(sorted(keys))
            if _try(lambda: world.write(retry_from_step, run_id, key, by="owner")):
                world.say(f"{run_id} is taken up again from {key}")


def _set_clock(world: World) -> None:
    _any_worker(world).skew_s = world.chance.choice((0, 3600, -3600, 20))


def _try(act: Callable[[], object]) -> bool:
    """What the owner asks for may not be possible just now."""
    try:
        act()
    except D8Error:
        return False
    return True


_ACTIONS: tuple[tuple[Action, float], ...] = (
    (_pass_time, 12),
    (_publish, 8),
    (_sweep, 8),
    (_advance, 6),
    (_deliver, 22),
    (_work, 9),
    (_renew, 5),
    (_heartbeats, 5),
    (_start, 2),
    (_crash, 2.5),
    (_cut, 3),
    (_lose_queues, 0.7),
    (_upgrade, 1),
    (_update_worker, 2.5),
    (_drain, 1.2),
    (_remove, 0.5),
    (_cancel, 0.4),
    (_retry, 1),
    (_retry_from_step, 0.7),
    (_set_clock, 0.5),
)


def _come_to_rest(world: World) -> None:
    """Everybody is well, has the fleet's build and does what they should: every run must end."""
    world.faulty = False
    world.say("nothing goes wrong from here")
    for worker in world.workers:
        worker.cut = False
        if not worker.up or worker.build != world.build:
            worker.build, worker.trial_from = world.build, ""
            world.start_worker(worker)
        world.heartbeat(worker)
        _try(lambda worker=worker: world.write(drain_worker, worker.name, resume=True, by="owner"))  # type: ignore[misc]
    for _ in range(_ROUNDS):
        if not _open_runs(world):
            break
        world.now += timedelta(seconds=5)
        _heartbeats(world)
        _renew(world)
        for worker in world.workers:
            for held in list(worker.held):
                finish(world, worker, held)
        world.sweep()
        for name in list(world.queues):
            for posting in world.queues.pop(name):
                _hand_out(world, name, posting)
    else:
        stuck = world.read(
            lambda c: c.execute(text("SELECT id, state, attempt, only_worker, worker FROM steps")).all()
        )
        raise Violation(f"runs {_open_runs(world)} have not come to an end: {stuck}")


def _hand_out(world: World, queue: str, posting: object) -> None:
    for worker in world.workers:
        if queue in world.listens_to(worker) and len(worker.held) < worker.slots:
            take_ticket(world, worker, posting)  # type: ignore[arg-type]
            return


def _open_runs(world: World) -> list[str]:
    query = text("SELECT id FROM runs WHERE state IN ('running', 'waiting')")
    return list(world.read(lambda connection: connection.execute(query).scalars().all()))
