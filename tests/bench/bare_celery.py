"""The rival: the same no-op on bare Celery, with results, on the same broker."""

import os

from celery import Celery

app = Celery("bare", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_BROKER"])
app.conf.update(
    task_default_queue="bare",
    worker_prefetch_multiplier=4,
    task_serializer="json",
    accept_content=["json"],
    worker_hijack_root_logger=False,
)


@app.task(name="bare.noop")
def noop(echo: str) -> str:
    return echo
