"""``python -m master.cli.announce``: what ``d8 up`` says once the master runs."""

from __future__ import annotations

import sys

from master.cli.admin import welcome_link
from master.cli.base import connect, messages
from master.settings import load_settings


def announce(flower: bool) -> None:
    settings = load_settings()
    api = connect()
    say = messages().print
    if api.items("/api/owners", most=1):
        say(f"The master runs. Dashboard: {api.url} ('d8 dashboard' prints a link that needs no password)")
    else:
        say(f"The master runs. It has no owner yet: open {welcome_link(api)}")
        say(
            "and choose your name and password. The code is good for an hour; 'd8 admin code' prints another."
        )
    if flower:
        say(
            f"Flower: http://127.0.0.1:{settings.flower_port} (password in {settings.secrets_folder}/flower.password)"
        )
    say(f"Logs: {settings.log_folder}. Stop with Ctrl-C, or 'd8 down' from elsewhere.")


if __name__ == "__main__":
    announce("--flower" in sys.argv)
