"""What can go wrong: each fault breaks something on a stage, and mends what does not mend itself."""

from __future__ import annotations

# Each of these adds its faults to FAULTS.
from tests.faults import connections, machines, processes
from tests.faults.acting import FAULTS, Play
from tests.faults.stage import Stage

__all__ = ["FAULTS", "Play", "connections", "heal", "machines", "processes"]


def heal(stage: Stage) -> None:
    """Whatever a fault may have left: mended."""
    for host in stage.hosts:
        host.host.mend()
        for proxy in host.proxies:
            proxy.calm()
        (host.home / "ballast").unlink(missing_ok=True)
        if host.process is None or host.process.returncode is not None:
            host.start()
    (stage.home / "ballast").unlink(missing_ok=True)
