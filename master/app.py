"""The master's own Celery worker: flow passes on request, duties on a schedule.

Started as ``celery -A master.app worker -Q d8.master --pool threads``. Beat rings every duty; every duty
is safe to repeat and to miss.
"""

from __future__ import annotations

import functools
import logging
import threading

from celery.signals import worker_shutting_down

from master.capabilities import load_capabilities
from master.clock import utc_now
from master.clockwork import BeatThread
from master.dispatch.bell import CeleryBell
from master.dispatch.conductor import Conductor, write_directly
from master.duties import Duties
from master.flows.engine import Engine
from master.rabbitmq import find_rabbitmq
from master.settings import load_settings
from master.store import Database
from tasks.app import make_app
from tasks.errors import D8Error
from tasks.lanes import MASTER_QUEUE
from tasks.log import configure_logging, say
from tasks.queues import is_rabbitmq, queue_named
from tasks.tracing import Tracer, make_tracer
from tasks.workings import leave_out_delayed_delivery

leave_out_delayed_delivery()
app = make_app()
app.conf.task_queues = [queue_named(MASTER_QUEUE, is_rabbitmq(app.conf.broker_url))]
app.conf.task_default_queue = MASTER_QUEUE
# A duty that was due while the master was away is not owed.
app.conf.beat_schedule = {
    "sweep": {"task": "master.sweep", "schedule": 2.0},
    "note-paces": {"task": "master.note_paces", "schedule": 30.0},
    "post-costs": {"task": "master.post_costs", "schedule": 30.0},
    "tick": {"task": "master.tick", "schedule": 5.0},
    "do-scheduled": {"task": "master.do_scheduled", "schedule": 5.0},
    "tell-webhooks": {"task": "master.tell_webhooks", "schedule": 2.0},
    "forget": {"task": "master.forget", "schedule": 3600.0},
    "tend-samples": {"task": "master.tend_samples", "schedule": 300.0},
    "tend-broker": {"task": "master.tend_broker", "schedule": 60.0},
    "watch-clients": {
        "task": "master.watch_clients",
        "schedule": load_settings().watch_clients_s,
    },
}
if load_settings().otel_endpoint:
    app.conf.beat_schedule["tell-traces"] = {"task": "master.tell_traces", "schedule": 5.0}
# Passes are short and repeated anyway: early acknowledgement spares the broker work.
app.conf.task_acks_late = False


app.steps["worker"].add(BeatThread)

log = logging.getLogger("d8.duties")

_lock = threading.Lock()


@functools.cache
def _make_duties() -> Duties:
    configure_logging()
    load_capabilities()
    settings = load_settings()
    database = Database(settings.sqlalchemy_url)
    bell = CeleryBell(app)
    conductor = Conductor(database, write_directly(database), bell, settings, utc_now)
    worker_shutting_down.connect(lambda **_: conductor.close(), weak=False)
    engine = Engine(database, settings, utc_now)
    tracer = _make_tracer(settings.otel_endpoint)
    return Duties(database, engine, conductor, bell, settings, utc_now, find_rabbitmq(settings), tracer)


def _make_tracer(endpoint: str) -> Tracer | None:
    """None where tracing is off, or cannot be: 'd8 up' has said why, and the duties matter more."""
    try:
        return make_tracer(endpoint, "d8-master") if endpoint else None
    except D8Error as error:
        say(log, logging.ERROR, "tracing_off", why=error)
        return None


def duties() -> Duties:
    """Made at the first use, in the process that works: nothing connects at import."""
    with _lock:
        return _make_duties()


@app.task(name="master.advance")
def advance(run_id: str) -> None:
    """Run the due passes of one run."""
    duties().advance(run_id)


@app.task(name="master.sweep")
def sweep() -> None:
    """Find what no bell was rung for."""
    duties().sweep()


@app.task(name="master.note_paces")
def note_paces() -> None:
    """Learn how fast each worker is."""
    duties().note_paces()


@app.task(name="master.post_costs")
def post_costs() -> None:
    """Post what ended runs have cost."""
    duties().post_costs()


@app.task(name="master.tend_samples")
def tend_samples() -> None:
    """Keep the machines' numbers bounded."""
    duties().tend_samples()


@app.task(name="master.tend_broker")
def tend_broker() -> None:
    """Keep RabbitMQ as it should be, and see who listens."""
    duties().tend_broker()


@app.task(name="master.tell_traces")
def tell_traces() -> None:
    """Send the traces of steps that have ended."""
    duties().tell_traces()


@app.task(name="master.tick")
def tick() -> None:
    """Start what is due by its schedule."""
    duties().tick()


@app.task(name="master.do_scheduled")
def do_scheduled() -> None:
    """Do what the master does itself on a schedule."""
    duties().do_scheduled()


@app.task(name="master.tell_webhooks")
def tell_webhooks() -> None:
    """Tell the owner's addresses what happened."""
    duties().tell_webhooks()


@app.task(name="master.forget")
def forget() -> None:
    """Drop what is kept for a time only."""
    duties().forget()


@app.task(name="master.watch_clients")
def watch_clients() -> None:
    """Take up the clients that wait."""
    duties().watch_clients()
