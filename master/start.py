"""What every master needs before its first process runs: folders, tables, tokens, the build."""

from __future__ import annotations

import os

from master.clock import Clock
from master.dispatch.reap import extend_leases, grace
from master.fleet.gate import install_build
from master.fleet.releases import make_release_key
from master.settings import Settings
from master.store import Database
from master.store.migrate import migrate
from master.tokens import Scope, local_token
from tasks.build import Build
from tasks.errors import Unhealthy


def make_home(settings: Settings) -> None:
    """The folders of the home, closed to other users. ``Unhealthy`` where they cannot be made."""
    for folder in (
        settings.home,
        settings.run_folder,
        settings.secrets_folder,
        settings.log_folder,
        settings.artifact_folder,
        settings.output,
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Unhealthy(
                f"the folder {folder} cannot be made ({error.strerror}): choose another home with D8_HOME, "
                f"or make room there"
            ) from None
        if not os.access(folder, os.W_OK):
            raise Unhealthy(
                f"the folder {folder} cannot be written: make it yours, or choose another with D8_HOME"
            )


def prepare_master(settings: Settings, database: Database, build: Build, clock: Clock) -> None:
    """Bring tables, tokens and the fleet's build up to date. Harmless to repeat."""
    make_home(settings)
    make_release_key(settings.secrets_folder / "release.key")
    migrate(database)
    now = clock()
    with database.write() as connection:
        local_token(connection, Scope.OWNER, settings.secrets_folder / "owner.token", now=now)
        local_token(connection, Scope.WORKER, settings.secrets_folder / "worker.token", now=now)
        extend_leases(connection, until=now + grace(settings.lease_s))
        install_build(connection, build.id, now=now)
        if settings.otel_endpoint:
            from master.traces import begin_traces

            begin_traces(connection)
