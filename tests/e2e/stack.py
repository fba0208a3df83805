"""docker-compose.yml as a stack on a Docker Engine of the test's own, which has no network of its own.

No registry can be reached: the images' base is a Debian made by debootstrap, and the servers' images are
stand-ins from Debian's packages, which keep the contract of the official images' entry points as far as
docker-compose.yml relies on it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import urllib3
import yaml

from tests.support import ROOT, free_port, require, wait_until

BASE = "d8-test-base"
STAND_IN = "d8-test-servers"
PORTS = ("rabbitmq", "management", "dist", "epmd", "redis", "postgres", "api", "flower", "agent")

_ENTRYPOINT = """\
#!/bin/sh
set -eu
as() { user="$1"; shift; exec setpriv --reuid "$user" --regid "$user" --init-groups "$@"; }
case "$1" in
rabbitmq-server) chown -R rabbitmq: /var/lib/rabbitmq; as rabbitmq "$@" ;;
redis-server) chown -R redis: .; as redis "$@" ;;
postgres)
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chown -R postgres: "$PGDATA"
        as postgres "$0" "$@"
    fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        # shellcheck disable=SC2086
        initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
        echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
        echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    fi
    exec "$@"
    ;;
esac
"""

_STAND_IN = f"""\
FROM {STAND_IN}-root
COPY docker-entrypoint.sh /usr/local/bin/
RUN echo '[rabbitmq_management].' >/etc/rabbitmq/enabled_plugins && install -d -o redis /data \\
    && install -d -o postgres -m 2775 /var/run/postgresql
# As RabbitMQ's image has it: its cookie is there. The other servers do not care.
ENV HOME=/var/lib/rabbitmq
ENV PATH=/usr/lib/rabbitmq/bin:/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /data
"""


def stand_in_context() -> io.BytesIO:
    """The build context of the servers' image."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text, mode in (
            ("Dockerfile", _STAND_IN, 0o644),
            ("docker-entrypoint.sh", _ENTRYPOINT, 0o755),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    return context


class Stack:
    """One project of docker-compose, each of its ports a free one of this machine."""

    def __init__(self, folder: Path, engine: Any, *, find_links: str) -> None:
        self.folder = folder
        self.docker = engine.client()
        self.ports = {name: free_port() for name in PORTS}
        self._file = folder / "docker-compose.yml"
        self._file.write_text(yaml.safe_dump(self._adapted()))
        self._env = {
            name: value for name, value in os.environ.items() if not name.startswith(("D8_", "PIP_"))
        }
        self._env |= {
            "DOCKER_HOST": engine.socket_url,
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            "COMPOSE_PROJECT_NAME": "d8test",
            "COMPOSE_PROFILES": "worker-cpu",
            "D8_BASE_IMAGE": BASE,
            "D8_TORCH": "none",
            "D8_RABBITMQ_IMAGE": STAND_IN,
            "D8_REDIS_IMAGE": STAND_IN,
            "D8_POSTGRES_IMAGE": STAND_IN,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": find_links,
        }

    def compose(self, *arguments: str) -> str:
        """Standard output of docker-compose; an ``AssertionError`` shows the end of what it said."""
        done = subprocess.run(
            [require("docker-compose"), "-f", self._file, "--project-directory", ROOT, *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"docker-compose {arguments}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout

    def start(self) -> None:
        """All services up and healthy; where not, an ``AssertionError`` with their logs."""
        try:
            self.compose("up", "--detach")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.explain()}") from None
        self.wait_healthy()

    def containers(self) -> list[Any]:
        """Those of this project, ended ones included."""
        return list(self.docker.containers.list(all=True, filters={"label": "com.docker.compose.project"}))

    def container(self, service: str) -> Any:
        label = f"com.docker.compose.service={service}"
        (found,) = self.docker.containers.list(all=True, filters={"label": label})
        return found

    def health(self) -> dict[str, str]:
        """Service -> ``healthy``, ``starting``, ``unhealthy``, or its state where nothing is checked."""
        return {
            found.labels["com.docker.compose.service"]: found.attrs["State"]
            .get("Health", {})
            .get("Status", found.status)
            for found in self.containers()
        }

    def run_in(self, service: str, *command: str, user: str = "") -> str:
        """Standard output of a command in a service's container, as its own user: root may not even read."""
        code, (output, errors) = self.container(service).exec_run(list(command), user=user, demux=True)
        assert code == 0, f"{service}: {command}\n{(errors or b'').decode()}"
        return (output or b"").decode()

    def get(self, name: str, path: str, *, token: str = "", body: Any = None) -> urllib3.BaseHTTPResponse:
        """What the service on this port answers; a POST when there is a body."""
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        return urllib3.request(
            "GET" if body is None else "POST",
            f"http://127.0.0.1:{self.ports[name]}{path}",
            headers=headers,
            body=None if body is None else json.dumps(body),
            timeout=20.0,
            retries=False,
        )

    def explain(self) -> str:
        """The end of every service's log."""
        parts = [json.dumps(self.health())]
        for found in self.containers():
            parts.append(f"--- {found.name} {found.status}\n{found.logs(tail=25).decode(errors='replace')}")
        return "\n".join(parts)

    def wait_healthy(self, timeout_s: float = 240.0) -> None:
        def settled() -> bool:
            health = self.health()
            return all(
                state == ("exited" if service == "secrets" else "healthy")
                for service, state in health.items()
                # The model server has no torch here, and nothing asks it for a model.
                if service != "models-cpu"
            )

        wait_until(settled, timeout_s, "every service is healthy", self.explain)

    def stop(self) -> None:
        with contextlib.suppress(AssertionError):
            self.compose("down", "--volumes", "--timeout", "10")
        self.docker.close()

    def _adapted(self) -> dict[str, Any]:
        """The published file with host networking, free ports, and health checks every second."""
        text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
        data: dict[str, Any] = yaml.safe_load(text)
        del data["networks"]
        for name, service in data["services"].items():
            service.pop("ports", None)
            if service.pop("networks", None):
                service["network_mode"] = "host"
                service["extra_hosts"] = [
                    f"{host}:127.0.0.1" for host in ("rabbitmq", "redis", "postgres", "api")
                ]
            if "build" in service:
                service["build"]["network"] = "host"
            if "healthcheck" in service:
                service["healthcheck"] |= {"interval": "1s", "retries": 120}
            self._move_ports(name, service)
        return data

    def _move_ports(self, name: str, service: dict[str, Any]) -> None:
        ports = {key: str(value) for key, value in self.ports.items()}
        environment = service.setdefault("environment", {})
        if name == "secrets":
            environment |= {
                "RABBITMQ_ADDRESS": f"rabbitmq:{ports['rabbitmq']}",
                "RABBITMQ_MANAGEMENT_ADDRESS": f"rabbitmq:{ports['management']}",
                "REDIS_ADDRESS": f"redis:{ports['redis']}",
                "POSTGRES_ADDRESS": f"postgres:{ports['postgres']}",
                "MASTER_ADDRESS": f"api:{ports['api']}",
            }
        elif name == "rabbitmq":
            environment |= {
                "RABBITMQ_NODENAME": f"d8-{ports['rabbitmq']}@localhost",
                "RABBITMQ_NODE_PORT": ports["rabbitmq"],
                "RABBITMQ_DIST_PORT": ports["dist"],
                "ERL_EPMD_PORT": ports["epmd"],
            }
            extra = self.folder / "ports.conf"
            extra.write_text(f"management.tcp.port = {ports['management']}\n")
            service["volumes"].append(f"{extra}:/etc/rabbitmq/conf.d/ports.conf:ro")
            service["healthcheck"]["test"][-1] = ports["rabbitmq"]
        elif name == "redis":
            service["command"] += ["--port", ports["redis"]]
            service["healthcheck"]["test"][1] = service["healthcheck"]["test"][1].replace(
                "redis-cli", f"redis-cli -p {ports['redis']}"
            )
        elif name == "postgres":
            service["command"] += ["-clisten_addresses=127.0.0.1", f"-cport={ports['postgres']}"]
            service["healthcheck"]["test"] += ["-p", ports["postgres"]]
        elif name == "api":
            environment |= {"D8_PORT": ports["api"], "D8_HOST": "127.0.0.1"}
            service["healthcheck"]["test"][2] = ports["api"]
        elif name == "flower":
            service["command"] = [part.replace("5555", ports["flower"]) for part in service["command"]]
            service["healthcheck"]["test"][2] = ports["flower"]
        elif name == "worker-cpu":
            environment["D8_AGENT_PORT"] = ports["agent"]
            service["healthcheck"]["test"][2] = ports["agent"]
