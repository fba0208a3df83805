"""A worker's settings, from the environment (``D8_...``) and ``$D8_HOME/d8.env``."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from tasks.errors import Unhealthy
from tasks.files import default_home, read_text_or_empty
from tasks.settings import FleetSettings, read_secret_files
from worker.joined import Membership, find_membership
from worker.sandbox.policy import parse_executors


class WorkerSettings(FleetSettings):
    #: The token that the master gave this worker. Empty: the one in this machine's own home.
    worker_token: SecretStr = SecretStr("")
    #: Steps run at the same time. 0: one per core, at most four.
    slots: int = Field(default=0, ge=0, le=1024)
    #: Change to the master's build without being asked, when there is a new one.
    auto_update: bool = False
    #: Where the worker tells how it is. Port 0: nowhere.
    agent_host: str = "127.0.0.1"
    agent_port: int = Field(default=7600, ge=0, le=65535)
    #: Where given code may run here: ``docker``, ``venv``, ``native``. Untrusted code only runs in Docker.
    executors: str = "docker"
    #: The image that it runs in (docker/sandbox.Dockerfile).
    sandbox_image: str = "d8-sandbox"
    #: Start and watch over the model server; off where something else does, such as its own container.
    keep_model_server: bool = True
    #: The number of the GPU that this worker and its model server use. Empty: the worker shows all, and
    #: the model server takes the first. A machine with several runs a worker for each.
    gpu: str = Field(default="", pattern=r"^\d{0,3}$")
    #: Where the model server listens. Empty: in the home.
    model_socket: str = ""
    #: The model that a request without one gets.
    model: str = "embedded:smollm2"
    embedding_model: str = "embedded:minilm"
    #: ``HOST:PORT`` where the model server answers other programs too (docs/models.md). Empty: nowhere.
    model_http: str = ""
    #: Redis or Valkey (``redis://``, ``rediss://``) through which model servers share kept answers. Empty: none.
    cache_url: SecretStr = SecretStr("")

    @functools.cached_property
    def membership(self) -> Membership | None:
        """What this machine got when it joined; None where it did not."""
        return find_membership(self.home)

    def find_token(self) -> str:
        """The token: as set, as given at joining, or that of the master of this machine; "" for none."""
        given = self.worker_token.get_secret_value()
        if not given and self.membership is not None:
            return self.membership.joined.token
        return given or read_text_or_empty(self.secrets_folder / "worker.token")

    def find_master_url(self) -> str:
        if not self.master_url and self.membership is not None:
            return self.membership.master_url
        return super().find_master_url()

    def find_broker_url(self) -> str:
        if not self.broker_url.get_secret_value() and self.membership is not None:
            return self.membership.joined.broker_url
        return super().find_broker_url()

    def find_release_key(self) -> str:
        """The key that checks releases; "" where none is known: then none is accepted."""
        if self.membership is not None:
            return self.membership.joined.release_key
        return read_text_or_empty(self.secrets_folder / "release.pub")

    def count_slots(self) -> int:
        return self.slots or max(1, min(4, os.cpu_count() or 1))

    @field_validator("executors")
    @classmethod
    def _known_executors(cls, value: str) -> str:
        return " ".join(parse_executors(value))

    def sandbox_owner(self, worker: str) -> str:
        """By which the containers of this worker are found again, and no others."""
        return f"{worker}-{hashlib.sha256(str(self.home).encode()).hexdigest()[:16]}"

    def socket_path(self) -> Path:
        if self.model_socket:
            return Path(self.model_socket)
        return self.run_folder / (f"models-{self.gpu}.sock" if self.gpu else "models.sock")

    def model_token_file(self) -> Path:
        """Opens the model server's door to the network."""
        return self.secrets_folder / "models.token"

    def worker_folder(self, name: str) -> Path:
        """What this worker must not lose: results that could not be delivered yet."""
        return self.home / "worker" / name

    def get_broker_url(self) -> str:
        """``Unhealthy`` when no broker is known."""
        url = self.find_broker_url()
        if not url:
            raise Unhealthy(
                f"no broker is known here: set D8_BROKER_URL, or start the master of this machine with 'd8 up' "
                f"(looked in {self.run_folder})"
            )
        return url


def load_worker_settings() -> WorkerSettings:
    return WorkerSettings(_env_file=default_home() / "d8.env", **read_secret_files(dict(os.environ)))
