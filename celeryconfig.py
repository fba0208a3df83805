"""Celery's settings. Each one that differs from the default says why."""

from __future__ import annotations

from tasks.files import default_home
from tasks.queues import is_rabbitmq
from tasks.settings import FleetSettings

broker_url = FleetSettings(_env_file=default_home() / "d8.env").find_broker_url() or "memory://"

# A message that is not JSON can carry code.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"

# The database holds what happened; Celery's own results would be a second, weaker record.
result_backend = None
task_ignore_result = True
task_store_errors_even_if_ignored = False

# A ticket is acknowledged when its attempt has ended: a killed worker's ticket comes back, and the
# claim refuses it if the attempt is over by then.
task_acks_late = True
task_reject_on_worker_lost = True
# A child that was killed is known to be dead at once; its result may still be in the pipe, but not for
# ten seconds. Until then its step would wait, or be taken for one of a lost worker.
worker_lost_wait = 1.0
# A slot takes one ticket at a time, so that what waits can still go to another worker.
worker_prefetch_multiplier = 1
# After a lost connection the broker delivers the ticket again, and the claim refuses it while the step
# runs: there is nothing to cancel, and a night's work does not end with a broker's restart (ADR 4).
worker_cancel_long_running_tasks_on_connection_loss = False
worker_enable_prefetch_count_reduction = False

# A queue whose name nobody declared is a mistake in a name, not a wish for a new queue.
task_create_missing_queues = False
task_default_queue = "d8.unused"

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A broker that is away is noticed within a minute, also when it vanished without a word.
broker_heartbeat = 20
broker_connection_timeout = 5
if is_rabbitmq(broker_url):
    broker_transport_options = {
        # A ticket counts as sent when the broker has it, not when it has left this process.
        "confirm_publish": True,
        "connect_timeout": 5,
    }
else:
    # Longer than the longest step, so that none is delivered again while it runs; work of a dead worker
    # comes back from its lease instead, in seconds.
    broker_transport_options = {
        "visibility_timeout": 30 * 24 * 3600,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "retry_on_timeout": True,
    }
# Priorities are decided in the database at the moment of publishing: brokers differ too much in theirs.
# Quorum queues take no limit over all consumers of a channel; Celery finds that out by itself.
worker_detect_quorum_queues = True
# RabbitMQ 4.3 refuses queues that are neither durable nor exclusive. An exclusive one would lock out a
# worker that comes back before the broker has noticed that its old connection is dead.
control_queue_exclusive = False
control_queue_durable = True
event_queue_exclusive = True

# Flower switches events on while it runs; nobody pays for them otherwise.
worker_send_task_events = False
task_send_sent_event = False
worker_hijack_root_logger = False
worker_redirect_stdouts = False
enable_utc = True
timezone = "UTC"
