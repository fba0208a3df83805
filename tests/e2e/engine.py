"""A Docker Engine of the test's own: no bridge, no firewall rules, nothing of it left afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docker.client import DockerClient
from docker.errors import DockerException

from tests.support import Process, require, wait_until


class DockerEngine:
    """``dockerd`` on a Unix socket in ``folder``; containers use the host's network or none."""

    def __init__(self, folder: Path) -> None:
        dockerd = require("dockerd")
        if os.geteuid() != 0:
            pytest.skip("dockerd needs root: run this test as root")
        self.folder = folder
        self.socket_url = f"unix://{folder}/docker.sock"
        (folder / "daemon.json").write_text("{}")
        self._process = Process(
            [
                dockerd, "--host", self.socket_url, "--config-file", folder / "daemon.json",
                "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid",
                "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
                "--ip-masq=false",
            ],
            folder / "dockerd.log",
        )  # fmt: skip
        wait_until(self._answers, 60, "dockerd answers", self._process.tail)

    def client(self) -> Any:
        """Close it after use."""
        return DockerClient(base_url=self.socket_url, timeout=600)

    def stop(self) -> None:
        """Ends its containers, itself and its folder."""
        with contextlib.suppress(DockerException):
            client = self.client()
            for container in client.containers.list(all=True):
                container.remove(force=True)
            client.close()
        self._process.stop(60)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def _answers(self) -> bool:
        if self._process.returncode is not None:
            raise AssertionError(f"dockerd ended with {self._process.returncode}\n{self._process.tail()}")
        # A client that finds nobody leaves its connection open: ask by hand.
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket_url.removeprefix("unix://")) == 0
