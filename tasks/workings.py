"""What Celery's workers leave out here, on the master and on the workers alike."""

from __future__ import annotations

from celery.worker.consumer import Consumer

_DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


def leave_out_delayed_delivery() -> None:
    """With quorum queues Celery declares twenty-eight more of them for delayed tasks. D8 sends none: what
    is to happen later waits in the database."""
    steps = Consumer.Blueprint.default_steps
    if _DELAYED_DELIVERY in steps:
        steps.remove(_DELAYED_DELIVERY)
