"""The master's settings, from the environment (``D8_...``) and ``$D8_HOME/d8.env``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from tasks.errors import InvalidInput
from tasks.files import default_home
from tasks.settings import FleetSettings, read_secret_files


class Settings(FleetSettings):
    #: SQLAlchemy URL. Empty: SQLite in the home.
    database_url: SecretStr = SecretStr("")
    #: Address and port of the API and the dashboard. Anything but loopback is the owner's decision.
    host: str = "127.0.0.1"
    port: int = Field(default=7500, ge=0, le=65535)
    #: How other machines reach the master ("http://pi.local:7500"). Empty: found out.
    public_url: str = ""
    #: Host and port at which workers on other machines reach the broker. Empty: as the master does.
    broker_address: str = ""
    #: RabbitMQ's management API, with user and password. Empty: none.
    rabbitmq_url: SecretStr = SecretStr("")
    #: Where the embedded broker listens.
    broker_host: str = "127.0.0.1"
    flower_port: int = Field(default=5555, ge=1, le=65535)

    #: Model reference that the workloads use unless they name one.
    model: str = "embedded:smollm2"
    embedding_model: str = "embedded:minilm"

    #: A claim that is not renewed for so long is over.
    lease_s: float = Field(default=20.0, ge=1, le=3600)
    #: Workers report so often, and are offline after two and a half times as long.
    heartbeat_s: float = Field(default=30.0, ge=1, le=3600)
    #: A ticket that nobody claimed is sent again after so long, then less and less often.
    ring_again_s: float = Field(default=5.0, ge=0.5, le=600)
    #: Tickets waiting in the broker for each slot of a lane, beside the one that runs.
    waiting_per_slot: int = Field(default=4, ge=0, le=100)
    #: How often the watcher looks for new clients.
    watch_clients_s: float = Field(default=300.0, ge=1)

    telegram_token: SecretStr | None = None
    telegram_users: Annotated[tuple[int, ...], NoDecode] = ()
    #: Group chats in which those users are listened to.
    telegram_groups: Annotated[tuple[int, ...], NoDecode] = ()
    telegram_api_url: str = "https://api.telegram.org/bot"
    #: Where Telegram reaches this master's API from outside, with https. Empty: updates are fetched.
    telegram_webhook_url: str = ""
    #: What Telegram proves itself with there. Empty: derived from the token.
    telegram_webhook_secret: SecretStr = SecretStr("")

    #: Where delivered projects go. Empty: ``output`` in the home.
    output_folder: str = ""

    @field_validator("telegram_users", "telegram_groups", mode="before")
    @classmethod
    def _split_ids(cls, value: Any) -> Any:
        return [part for part in value.replace(",", " ").split() if part] if isinstance(value, str) else value

    @property
    def sqlalchemy_url(self) -> str:
        given = self.database_url.get_secret_value()
        return given or f"sqlite:///{self.home / 'd8.sqlite3'}"

    @property
    def policy_path(self) -> Path:
        """Who may decide what, budgets and prices."""
        return self.home / "policy.toml"

    @property
    def artifact_folder(self) -> Path:
        return self.home / "artifacts"

    @property
    def output(self) -> Path:
        return Path(self.output_folder).expanduser() if self.output_folder else self.home / "output"


def load_settings(**given: Any) -> Settings:
    """The settings of this process. ``InvalidInput`` names the variable that is wrong."""
    try:
        return Settings(
            _env_file=default_home() / "d8.env", **{**read_secret_files(dict(os.environ)), **given}
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = "D8_" + str(first["loc"][0]).upper()
        raise InvalidInput(
            f"{name} is not acceptable ({first['msg'].lower()}): correct it in the environment or in "
            f"{default_home() / 'd8.env'}"
        ) from None
