"""The worker's own small door: how it is, what it runs, what its model server does. For health checks,
Prometheus and curious owners."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from tasks.log import say
from tasks.metrics import CONTENT_TYPE

log = logging.getLogger("d8.agent")

Facts = Callable[[], dict[str, Any]]
Metrics = Callable[[], bytes]


class _Handler(http.server.BaseHTTPRequestHandler):
    #: ``/api/health`` and ``/api/version``, and ``/metrics``; set on a subclass, where a plain function
    #: would become a method.
    facts: dict[str, Facts]
    metrics: tuple[Metrics]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE, self.metrics[0]())
            return
        read = self.facts.get(path)
        answer = read() if read is not None else {"error": "there are /api/health, /api/version and /metrics"}
        status = 404 if read is None else 200 if answer.get("healthy", True) else 503
        self._answer(status, "application/json", json.dumps(answer).encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A health check every few seconds is not news."""


def serve(
    host: str, port: int, *, health: Facts, version: Facts, metrics: Metrics
) -> http.server.ThreadingHTTPServer | None:
    """Answer ``GET /api/health`` (503 when not healthy), ``GET /api/version`` and ``GET /metrics`` in a
    thread. None, and a warning, where the port is taken: a second worker on one machine goes without."""
    facts = {"/api/health": health, "/api/version": version}
    handler = type("Handler", (_Handler,), {"facts": facts, "metrics": (metrics,)})
    try:
        server = http.server.ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        say(log, logging.WARNING, "agent_has_no_port", host=host, port=port, error=error.strerror)
        return None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="agent-http", daemon=True).start()
    return server
