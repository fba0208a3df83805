"""How queues are declared, the same by everybody who declares them.

RabbitMQ refuses a declaration whose arguments differ from the queue's. So the code names the type of
the queue and nothing else; limits and dead-lettering come from one policy on the broker.
"""

from __future__ import annotations

import functools

from kombu.entity import Exchange, Queue

#: Tickets go through an exchange of our own, since only such a one can have an alternate: what would
#: vanish for want of a queue is then seen.
TICKETS = Exchange("d8", type="direct", durable=True)


def is_rabbitmq(broker_url: str) -> bool:
    return broker_url.startswith(("amqp://", "amqps://", "pyamqp://"))


@functools.lru_cache(maxsize=4096)
def queue_named(name: str, rabbitmq: bool) -> Queue:
    """The durable queue of this name. On RabbitMQ it is a quorum queue, which counts deliveries; a
    Redis-like broker knows nothing but names."""
    if not rabbitmq:
        return Queue(name, durable=True)
    arguments = {"x-queue-type": "quorum"}
    return Queue(name, exchange=TICKETS, routing_key=name, durable=True, queue_arguments=arguments)
