"""One bridge, and hosts as network namespaces behind it. Needs root; takes everything away again."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from pathlib import Path


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """A bridge with an address of its own, on which the master listens."""

    def __init__(self) -> None:
        self.tag = secrets.token_hex(2)
        self.bridge = f"d8b{self.tag}"
        self.prefix = f"10.{101 + secrets.randbelow(100)}.{secrets.randbelow(250)}"
        self.address = f"{self.prefix}.1"
        self.hosts: list[Host] = []
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.address}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def add_host(self, number: int) -> Host:
        host = Host(self, number)
        self.hosts.append(host)
        return host

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        with contextlib.suppress(RuntimeError):
            run("ip", "link", "del", self.bridge)


class Host:
    """A machine of its own, as far as the network is concerned."""

    def __init__(self, network: Network, number: int) -> None:
        self.name = f"d8h{network.tag}-{number}"
        self.address = f"{network.prefix}.{10 + number}"
        link = f"d8v{network.tag}{number}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", link, "master", network.bridge, "up")
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "link", "set", "lo", "up")

    def inside(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.name, *command)

    def cut(self) -> None:
        """Every packet in or out is dropped, without a word to anybody."""
        for chain in ("INPUT", "OUTPUT"):
            self.inside("iptables", "-I", chain, "!", "-i" if chain == "INPUT" else "-o", "lo", "-j", "DROP")

    def mend(self) -> None:
        self.inside("iptables", "-F")

    def processes(self) -> list[int]:
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]

    def commands(self) -> dict[int, str]:
        """Command lines by process."""
        found: dict[int, str] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[pid] = text.strip()
        return found

    def kill_all(self) -> None:
        """As when the plug is pulled."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.kill_all()
            run("ip", "netns", "del", self.name)
