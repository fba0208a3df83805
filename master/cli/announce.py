"""``python -m master.cli.announce``: what ``d8 up`` says once the master runs."""

from __future__ import annotations

import sys

from master.cli.base import connect, messages
from master.settings import load_settings


def announce(flower: bool) -> None:
    settings = load_settings()
    api = connect()
    link = f"{api.url}/login?code={api.post('/api/login-codes')['code']}"
    say = messages().print
    say(f"The master runs. Dashboard (this link works once): {link}")
    if flower:
        say(
            f"Flower: http://127.0.0.1:{settings.flower_port} (password in {settings.secrets_folder}/flower.password)"
        )
    say(f"Logs: {settings.log_folder}. Stop with Ctrl-C, or 'd8 down' from elsewhere.")


if __name__ == "__main__":
    announce("--flower" in sys.argv)
