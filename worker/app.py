"""The Celery application of a worker: ``celery -A worker.app worker`` is a whole D8 worker.

The parent process finds out what this machine is, listens on its lanes' queues (of its own build
only), joins the master and looks after the model server. Each child runs one ticket at a time.
"""

from __future__ import annotations

import functools
import os
import secrets
import socket
from typing import Any

from celery.signals import (
    celeryd_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

import worker.inspection as inspection
import worker.request as request_module
from tasks.app import make_app
from tasks.build import current_build
from tasks.catalog import TASKS
from tasks.lanes import lane_queue, lanes_for, worker_queue
from tasks.log import configure_logging
from tasks.metrics import render_model_metrics
from tasks.protocol import Failure, Hardware, Lost, ModelServerStats, Ticket
from tasks.queues import is_rabbitmq, queue_named
from tasks.spec import TaskSpec
from tasks.tracing import Tracer, check_tracing, make_tracer
from tasks.workings import leave_out_delayed_delivery
from worker.agent import http
from worker.agent.agent import Agent, Circumstances
from worker.agent.models import read_model_server
from worker.agent.tail import LogTail, keep_tail
from worker.agent.updater import Updater
from worker.breaker import Answered
from worker.hardware import probe_hardware
from worker.master_client import MasterClient
from worker.models.client import ModelClient
from worker.models.front.token import http_options
from worker.models.kept import CACHE_URL_VARIABLE
from worker.models.supervise import ModelServerSupervisor, ServerSettings
from worker.naming import worker_name
from worker.runner import Identity, Runner
from worker.sandbox.docker import remove_leftovers
from worker.sandbox.execute import probe_executors
from worker.settings import WorkerSettings, load_worker_settings
from worker.spool import Spool
from worker.switch import SwitchFiles


class Process:
    """What the parent found out before it forked; its children inherit it."""

    def __init__(self, node: str) -> None:
        self.settings = load_worker_settings()
        self.build = current_build()
        name = worker_name(node.partition("@")[2] or node or socket.gethostname())
        self.identity = Identity(name=name, session=secrets.token_hex(8), build=self.build.id)
        # Tried once, at the start: a container takes a moment.
        owner = self.settings.sandbox_owner(name)
        remove_leftovers(owner)
        self.executors = probe_executors(self.settings, owner)
        self.hardware = self.probe()
        self.lanes = lanes_for([gpu.memory_mib for gpu in self.hardware.gpus])
        self.folder = self.settings.worker_folder(self.identity.name)
        self.spool = Spool(self.folder / "spool")
        # Before the fork, too: all processes of the worker write into it.
        self.tail = LogTail(self.folder / "log.tail")
        # Before the fork: all processes of the worker share it.
        self.answered = Answered()
        # Said at the start, and not by the first child that has a step.
        check_tracing(self.settings.otel_endpoint)
        self.agent: Agent | None = None
        self.models: ModelServerSupervisor | None = None

    def probe(self) -> Hardware:
        settings = self.settings
        models = (settings.model, settings.embedding_model)
        return probe_hardware(settings.home, executors=self.executors, models=models, gpu=settings.gpu)

    def read_models(self) -> ModelServerStats | None:
        """What the model server does now; None where none answers."""
        return read_model_server(self.settings.socket_path())

    def describe(self) -> dict[str, Any]:
        """Which code this is, and how the worker stands."""
        standing = self.agent.describe() if self.agent is not None else {}
        return {
            "worker": self.identity.name,
            "build": self.build.id,
            "commit": self.build.commit,
            "dirty": self.build.dirty,
            "lanes": self.lanes,
            "state": standing.get("state", "joining"),
        }

    @functools.cached_property
    def runner(self) -> Runner:
        """Made in the child, at its first use: connections do not survive a fork."""
        return Runner(
            self.identity,
            MasterClient(self.settings, self.answered),
            self.spool,
            lambda: ModelClient(self.settings.socket_path()),
            self.make_tracer(),
        )

    def make_tracer(self) -> Tracer | None:
        """In each process its own: its thread does not survive a fork."""
        endpoint = self.settings.otel_endpoint
        return make_tracer(endpoint, "d8-worker", **{"d8.worker": self.identity.name}) if endpoint else None


process: Process | None = None


def run_ticket(task: TaskSpec[Any, Any], ticket: Ticket) -> None:
    assert process is not None, "celeryd_init has run in the parent"
    process.runner.run(task, ticket)


leave_out_delayed_delivery()
app = make_app(run_ticket)
for _task in TASKS:
    app.tasks[_task.name].Request = "worker.request:TicketRequest"


@celeryd_init.connect
def _prepare(sender: str, conf: Any, **_: Any) -> None:
    """Before queues are chosen and children are forked."""
    global process  # noqa: PLW0603 (Celery calls this function and forks: there is nowhere else to put it)
    configure_logging()
    process = Process(sender)
    keep_tail(process.tail)
    settings, identity, build = process.settings, process.identity, process.build.id
    conf.broker_url = settings.get_broker_url()
    names = [lane_queue(lane, build) for lane in process.lanes] + [worker_queue(identity.name, build)]
    conf.task_queues = [queue_named(name, is_rabbitmq(conf.broker_url)) for name in names]
    # What the command line says goes first.
    conf.worker_concurrency = conf.worker_concurrency or settings.count_slots()


@worker_process_init.connect
def _in_child(**_: Any) -> None:
    configure_logging()
    if process is not None:
        keep_tail(process.tail)


@worker_process_shutdown.connect
def _before_child_ends(**_: Any) -> None:
    if process is not None and "runner" in vars(process):
        process.runner.close()


@worker_ready.connect
def _join(sender: Any, **_: Any) -> None:
    """The children are forked: threads may start now."""
    assert process is not None
    settings, probe = process.settings, process.probe
    process.agent = _make_agent(process, sender.controller.concurrency)
    request_module.on_lost = _tell_lost
    process.agent.start()
    inspection.version = process.describe
    inspection.hardware = lambda: probe().model_dump(mode="json")
    if settings.agent_port:
        http.serve(
            settings.agent_host,
            settings.agent_port,
            health=process.agent.describe,
            version=process.describe,
            metrics=functools.partial(_render_metrics, process),
        )
    process.models = ModelServerSupervisor(
        ServerSettings(
            socket_path=settings.socket_path(),
            log_folder=settings.log_folder,
            gpu=settings.gpu,
            options=_model_server_options(settings),
            environment={CACHE_URL_VARIABLE: settings.cache_url.get_secret_value()},
        )
    )
    if settings.keep_model_server:
        process.models.start()


def _model_server_options(settings: WorkerSettings) -> tuple[str, ...]:
    models = ("--text-model", settings.model, "--embedding-model", settings.embedding_model)
    # Who starts the model server elsewhere says there where it listens.
    address = settings.model_http if settings.keep_model_server else ""
    return ("--idle-exit-s", "60", *models, *http_options(address, settings.model_token_file()))


def _make_agent(here: Process, slots: int) -> Agent:
    """The keeper says by the environment how it started this process."""
    settings = here.settings
    client = MasterClient(settings, here.answered)
    files = SwitchFiles(here.folder)
    return Agent(
        here.identity,
        here.build,
        Circumstances(
            lanes=tuple(here.lanes),
            slots=slots,
            host=socket.gethostname(),
            kept=os.environ.get("D8_KEPT", "") == "1",
            auto_update=settings.auto_update,
            trial_from=os.environ.get("D8_TRIAL_FROM", ""),
            update_error=os.environ.get("D8_UPDATE_ERROR", ""),
        ),
        client,
        here.spool,
        here.probe,
        Updater(client, files, settings.home / "releases", settings.find_release_key()),
        functools.partial(files.end_trial, here.build.id),
        here.read_models,
        here.tail.read,
    )


def _render_metrics(here: Process) -> bytes:
    return render_model_metrics({here.identity.name: here.read_models()})


@worker_shutdown.connect
def _leave(**_: Any) -> None:
    if process is not None and process.agent is not None:
        process.agent.stop()
    if process is not None and process.models is not None and process.models.is_alive():
        process.models.stop()


def _tell_lost(step: int, attempt: int, failure: Failure, text: str) -> None:
    if process is not None and process.agent is not None:
        process.agent.report_lost(
            Lost(
                worker=process.identity.name,
                session=process.identity.session,
                step=step,
                attempt=attempt,
                failure=failure,
                error=text,
            )
        )
