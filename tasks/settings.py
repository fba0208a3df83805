"""Settings that the master and the workers share. Values come from the environment (``D8_...``)
or from ``$D8_HOME/d8.env``; secrets may come from a file named by ``D8_..._FILE``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import InvalidInput
from tasks.files import default_home, read_text_or_empty


class FleetSettings(BaseSettings):
    """What both sides need to know to find each other."""

    model_config = SettingsConfigDict(env_prefix="D8_", extra="ignore", frozen=True)

    #: Where all state of this machine lives.
    home: Path = Field(default_factory=default_home)
    #: Celery's broker. Empty: the embedded one, whose address the master keeps in its home.
    broker_url: SecretStr = SecretStr("")
    #: Where the master answers. Empty: the address that the local master wrote into its home.
    master_url: str = ""
    #: Wait so long for an answer from the master.
    master_timeout_s: float = Field(default=30.0, gt=0, le=600)
    #: How logs are written: lines for people, or one JSON object a line.
    log_format: Literal["text", "json"] = "text"
    #: A collector that takes traces by OTLP over HTTP ("http://collector:4318"). Empty: none are kept.
    otel_endpoint: str = ""

    @property
    def run_folder(self) -> Path:
        """Addresses, sockets, process ids: what is true only while something runs."""
        return self.home / "run"

    @property
    def secrets_folder(self) -> Path:
        return self.home / "secrets"

    @property
    def log_folder(self) -> Path:
        return self.home / "logs"

    def find_broker_url(self) -> str:
        """The broker's address, or "" when none is set and the embedded one has never run here."""
        given = self.broker_url.get_secret_value()
        # celeryconfig.py makes these settings plainly, without what load_settings adds to them.
        given = given or str(read_secret_files(dict(os.environ)).get("broker_url", ""))
        return given or read_text_or_empty(self.run_folder / "broker.url")

    def find_master_url(self) -> str:
        """The master's address without a trailing slash, or "" when none is known."""
        return (self.master_url or read_text_or_empty(self.run_folder / "master.url")).rstrip("/")


def read_secret_files(environment: dict[str, str]) -> dict[str, Any]:
    """Turn ``D8_NAME_FILE=/path`` into ``{"name": <the file's content>}``, as Docker secrets are given."""
    values: dict[str, Any] = {}
    for variable, path in environment.items():
        if variable.startswith("D8_") and variable.endswith("_FILE") and path:
            try:
                values[variable[3:-5].lower()] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise InvalidInput(
                    f"{variable} names {path}, which cannot be read ({error.strerror}): "
                    f"point it at a readable file or unset it"
                ) from None
    return values
