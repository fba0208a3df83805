"""RabbitMQ's settings: alarms, policies, queues, users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from master.cli.doctor.ground import Finding, Ground, fine, look, missing
from tasks.errors import Unhealthy, Unreachable

if TYPE_CHECKING:
    from master.rabbitmq.look import BrokerSettings


def check_rabbitmq(ground: Ground) -> Finding | None:
    from master.rabbitmq import find_rabbitmq
    from master.rabbitmq.look import read_broker_settings
    from tasks.queues import is_rabbitmq

    if not is_rabbitmq(ground.settings.find_broker_url()):
        return None
    management = find_rabbitmq(ground.settings)
    if management is None:
        return look(
            "rabbitmq", "its settings cannot be seen: no management API was named",
            "set D8_RABBITMQ_URL (docs/rabbitmq.md); workers then get users of their own, too",
        )  # fmt: skip
    try:
        return judge_rabbitmq(read_broker_settings(management))
    except (Unreachable, Unhealthy) as error:
        return missing("rabbitmq", str(error), "correct D8_RABBITMQ_URL, or start its management plugin")


def judge_rabbitmq(settings: BrokerSettings) -> Finding:
    """The worst comes first: an alarm stops the fleet, a policy or queue loses tickets, guest lets others in."""
    if settings.alarms:
        return missing(
            "rabbitmq", "; ".join(settings.alarms),
            "nobody can send until that is over: free memory or disk there, or raise vm_memory_high_watermark or "
            "disk_free_limit",
        )  # fmt: skip
    if settings.wrong_queues:
        return missing(
            "rabbitmq", f"no quorum queues: {', '.join(settings.wrong_queues[:5])}",
            "delete them while the fleet is paused ('d8 pause'): the master makes them anew within a minute",
        )  # fmt: skip
    if settings.wrong_policies:
        return look(
            "rabbitmq", f"policies: {'; '.join(settings.wrong_policies)}",
            "the master puts its own back within a minute; delete what takes their place, or lower its priority",
        )  # fmt: skip
    if settings.has_guest:
        return look(
            "rabbitmq", "the user 'guest' is there, whose password everybody knows",
            "'rabbitmqctl delete_user guest'",
        )  # fmt: skip
    return fine(
        "rabbitmq", f"{settings.version}: no alarm; quorum queues, policies and users as they should be"
    )


CHECKS = {"rabbitmq": check_rabbitmq}
