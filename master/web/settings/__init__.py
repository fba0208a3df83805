"""The settings: one page each for who may come in, the rules, the model, Telegram, backups.

A page of another capability joins by a line in ``PAGES``; its template extends ``settings.html``.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from master.web.door import Door, Section
from master.web.settings import (
    about,
    access,
    backup,
    model,
    notifications,
    policy,
    schedules,
    tokens,
    webhooks,
)

#: In the order of the settings' own menu.
PAGES: tuple[Section, ...] = (
    access.PAGE,
    tokens.PAGE,
    policy.PAGE,
    model.PAGE,
    notifications.PAGE,
    schedules.PAGE,
    webhooks.PAGE,
    backup.PAGE,
    about.PAGE,
)


def routes(door: Door) -> list[BaseRoute]:
    return [route for page in PAGES for route in page.routes(door)]


SECTION = Section(path="/settings", name="Settings", routes=routes)
