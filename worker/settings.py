"""A worker's settings, from the environment (``D8_...``) and ``$D8_HOME/d8.env``."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr

from tasks.errors import Unhealthy
from tasks.settings import FleetSettings, default_home, read_secret_files, read_text_or_empty


class WorkerSettings(FleetSettings):
    #: The token that the master gave this worker. Empty: the one in this machine's own home.
    worker_token: SecretStr = SecretStr("")
    #: Steps run at the same time. 0: one per core, at most four.
    slots: int = Field(default=0, ge=0, le=1024)
    #: Where the model server listens. Empty: in the home.
    model_socket: str = ""
    #: The model that a request without one gets.
    model: str = "embedded:smollm2"
    embedding_model: str = "embedded:minilm"

    def find_token(self) -> str:
        """The token, or "" when the master has not made one yet."""
        return self.worker_token.get_secret_value() or read_text_or_empty(
            self.secrets_folder / "worker.token"
        )

    def count_slots(self) -> int:
        return self.slots or max(1, min(4, os.cpu_count() or 1))

    def socket_path(self) -> Path:
        return Path(self.model_socket) if self.model_socket else self.run_folder / "models.sock"

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
