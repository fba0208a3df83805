"""The worker's own small door: how it is, and what it runs. For health checks and curious owners."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from tasks.log import say

log = logging.getLogger("d8.agent")

Facts = Callable[[], dict[str, Any]]


class _Handler(http.server.BaseHTTPRequestHandler):
    #: ``/api/health`` and ``/api/version``; set on a subclass.
    facts: dict[str, Facts]

    def do_GET(self) -> None:
        read = self.facts.get(self.path.partition("?")[0])
        answer = read() if read is not None else {"error": "there are /api/health and /api/version"}
        status = 404 if read is None else 200 if answer.get("healthy", True) else 503
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A health check every few seconds is not news."""


def serve(host: str, port: int, *, health: Facts, version: Facts) -> http.server.ThreadingHTTPServer | None:
    """Answer ``GET /api/health`` (503 when not healthy) and ``GET /api/version`` in a thread. None, and a
    warning, where the port is taken: a second worker on one machine goes without."""
    handler = type("Handler", (_Handler,), {"facts": {"/api/health": health, "/api/version": version}})
    try:
        server = http.server.ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        say(log, logging.WARNING, "agent_has_no_port", host=host, port=port, error=error.strerror)
        return None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="agent-http", daemon=True).start()
    return server
