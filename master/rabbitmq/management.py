"""A client of RabbitMQ's management HTTP API (https://www.rabbitmq.com/docs/management)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from master.settings import Settings
from tasks.errors import InvalidInput, Unhealthy, Unreachable
from tasks.queues import is_rabbitmq

if TYPE_CHECKING:
    import requests

_TIMEOUT_S = 10.0


class Management:
    """One broker and one virtual host. Safe to use from several threads: each call stands alone."""

    def __init__(self, url: str, broker_url: str) -> None:
        """``url``: ``http://user:password@host:15672``; ``broker_url``: the AMQP address, which names the
        virtual host."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                "D8_RABBITMQ_URL is not the address of a management API: it looks like "
                "http://user:password@rabbitmq:15672"
            )
        netloc = parts.netloc.rpartition("@")[2]
        self._base = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
        self._login = (unquote(parts.username or ""), unquote(parts.password or ""))
        self.broker_url = broker_url
        self.vhost = unquote(urlsplit(broker_url).path[1:]) or "/"

    def get(self, *path: str) -> Any:
        """The answer, or None where there is no such thing."""
        answer = self._call("GET", path)
        return None if answer.status_code == 404 else answer.json()

    def put(self, *path: str, **body: Any) -> None:
        self._call("PUT", path, body)

    def post(self, *path: str, **body: Any) -> None:
        self._call("POST", path, body)

    def delete(self, *path: str) -> bool:
        """False where there was nothing to delete."""
        return self._call("DELETE", path).status_code < 300

    def _call(self, method: str, path: tuple[str, ...], body: Any = None) -> requests.Response:
        # Five MiB that a master without RabbitMQ does not need.
        import requests

        target = "/api/" + "/".join(quote(part, safe="") for part in path)
        try:
            answer = requests.request(
                method, self._base + target, json=body, auth=self._login, timeout=_TIMEOUT_S
            )
        except requests.RequestException as error:
            raise Unreachable(
                f"RabbitMQ's management API at {self._base} does not answer ({type(error).__name__}): check that "
                f"the plugin rabbitmq_management is enabled and D8_RABBITMQ_URL is right"
            ) from error
        if answer.status_code == 404 and method in ("GET", "DELETE"):
            return answer
        if answer.status_code >= 300:
            raise Unhealthy(
                f"RabbitMQ's management API refused {method} {target} ({answer.status_code}, "
                f"{answer.text[:200]}): its user needs the tag administrator and rights on vhost {self.vhost!r}"
            )
        return answer


def find_rabbitmq(settings: Settings) -> Management | None:
    """None where the broker is not RabbitMQ, or its management API was not named."""
    url, broker_url = settings.rabbitmq_url.get_secret_value(), settings.find_broker_url()
    return Management(url, broker_url) if url and is_rabbitmq(broker_url) else None
