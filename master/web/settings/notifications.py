"""What is told on Telegram, to whom and when; and a real message to try it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.approvals import Policy
from master.events import record_event
from master.telegram.connected import list_readers, list_tests, send_tests
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from tasks.errors import InvalidInput

HERE = "/settings/notifications"


def routes(door: Door) -> list[BaseRoute]:
    async def test(services: Services, _: Request, caller: Principal) -> Response:
        settings = services.settings

        def send(connection: Connection) -> None:
            now = services.clock()
            told = send_tests(connection, settings, by=caller.name, now=now)
            record_event(connection, "test_message_sent", now, by=caller.name, people=told)

        await services.write(send)
        return RedirectResponse(f"{HERE}?done=test", status_code=303)

    return [
        door.page(HERE, "settings_notifications.html", read_notifications),
        door.form(f"{HERE}/test", test),
    ]


def read_notifications(reading: Reading) -> dict[str, Any]:
    settings = reading.services.settings
    wrong, policy = "", Policy()
    try:
        policy = reading.policy
    except InvalidInput as error:
        wrong = str(error)
    return {
        "has_token": settings.telegram_token is not None,
        "webhook": bool(settings.telegram_webhook_url),
        "readers": list_readers(reading.connection, settings.telegram_users),
        "groups": settings.telegram_groups,
        "tests": list_tests(reading.connection),
        "policy": policy,
        "wrong": wrong,
        "settings_file": str(settings.home / "d8.env"),
        "done": reading.query.get("done", ""),
    }


PAGE = Section(path=HERE, name=N_("Notifications"), routes=routes)
