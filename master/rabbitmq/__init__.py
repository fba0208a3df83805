"""RabbitMQ beyond AMQP: what only its management API can do."""

from master.rabbitmq.management import Management, find_rabbitmq
from master.rabbitmq.topology import clear_old_queues, count_strays, install_topology, silent_workers
from master.rabbitmq.users import create_worker_user, remove_worker_user

__all__ = [
    "Management",
    "clear_old_queues",
    "count_strays",
    "create_worker_user",
    "find_rabbitmq",
    "install_topology",
    "remove_worker_user",
    "silent_workers",
]
