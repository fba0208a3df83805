"""Flower's options in the stack: read-only for the curious, behind the password of the secrets' volume."""

from __future__ import annotations

from pathlib import Path

# From a file: a password on the command line would be in the list of processes.
basic_auth = [Path("/secrets/flower.password").read_text(encoding="utf-8").strip()]
broker_api = Path("/secrets/broker-api.url").read_text(encoding="utf-8").strip()
# All addresses of the container; compose publishes the port on the host's loopback only, since Flower
# answers /metrics and /healthcheck without the password.
address = "0.0.0.0"  # noqa: S104 (see above)
# What it remembers is memory: 5,000 tasks are some 60 MB.
max_tasks = 5000
enable_events = True
