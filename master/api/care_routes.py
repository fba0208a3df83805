"""What keeps a fleet well, over HTTP: a backup to keep elsewhere, a message to see that the owner is reached."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import Connection

from master.api.answers import Answer
from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.services import Services
from master.events import record_event
from master.telegram.connected import send_tests
from master.tokens import Principal, Scope
from master.web.settings.backup import SHORTEST, make_download
from tasks.record import Record


class NewBackup(Record):
    #: Seals the file; nobody reads it without.
    passphrase: str = Field(min_length=SHORTEST, max_length=200)
    #: The fleet's keys, so that workers need not join again.
    with_secrets: bool = Field(default=True, strict=True)


class Told(Answer):
    #: How many get a message.
    people: int


_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def care_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/backups`` and ``/api/notifications``."""
    router = APIRouter(prefix="/api", tags=["fleet"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    one_at_a_time = asyncio.Lock()

    @router.post(
        "/backups",
        summary="Make a backup of the whole fleet and send it",
        response_class=Response,
        responses={200: {"description": "The sealed file", "content": _FILE}},
    )
    async def post_backup(caller: Owner, body: NewBackup) -> Response:
        return await make_download(
            services, body.passphrase, caller, with_secrets=body.with_secrets, lock=one_at_a_time
        )

    @router.post(
        "/notifications/test", status_code=202, summary="Send a message to everybody who is told things"
    )
    async def post_notification_test(caller: Owner, once: OneWrite) -> Told:
        def send(connection: Connection) -> dict[str, int]:
            now = services.clock()
            people = send_tests(connection, services.settings, by=caller.name, now=now)
            record_event(connection, "test_message_sent", now, by=caller.name, people=people)
            return {"people": people}

        return Told.model_validate(await once(send))

    return router
