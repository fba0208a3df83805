"""``python -m master.api``: serve the API and the dashboard."""

from __future__ import annotations

import sys

import uvicorn

from master.api.app import create_api, quick_path
from master.descriptors import raise_open_files_limit
from master.ready import port_is_free
from master.settings import load_settings
from master.start import make_home
from master.store.artifacts import write_whole
from tasks.errors import D8Error, Unhealthy
from tasks.log import configure_logging
from tasks.tracing import check_tracing


def main() -> int:
    configure_logging()
    try:
        settings = load_settings()
        if not port_is_free(settings.host, settings.port):
            raise Unhealthy(
                f"port {settings.port} on {settings.host} is in use by another program: stop it, or choose "
                f"another with D8_PORT"
            )
        check_tracing(settings.otel_endpoint)
        make_home(settings)
        raise_open_files_limit()
        api = create_api(settings)
        everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104 (compared with, not bound to)
        shown = "127.0.0.1" if everywhere else settings.host
        write_whole(
            settings.run_folder / "master.url", f"http://{shown}:{settings.port}\n".encode(), mode=0o600
        )
        uvicorn.run(
            quick_path(api),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=5,
            # Workers keep their connection between steps.
            timeout_keep_alive=75,
        )
    except D8Error as error:
        print(f"d8: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
