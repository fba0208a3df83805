"""The machine: clock, storage, power, memory, Python, drivers, Docker."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from master.cli.doctor.ground import Finding, Ground, fine, look, missing
from tasks.files import read_text_or_empty

_LEAST_DISK_MIB = 2048
_LEAST_MEMORY_MIB = 1024
_HOT_C = 80
_LEAST_OPEN_FILES = 1024
#: Below it a container can get out: CVE-2024-21626.
_SAFE_RUNC = (1, 1, 12)
_LEAST_DOCKER = 20


def check_python(ground: Ground) -> Finding:
    version = ".".join(map(str, ground.python))
    if not (3, 11) <= ground.python[:2] < (3, 15):
        return missing(
            "python", f"{version} is not supported", "install Python 3.11 to 3.14, then 'scripts/env'"
        )
    return fine("python", version)


def check_clock(ground: Ground) -> Finding | None:
    said = ground.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if said.code != 0 or said.output not in ("yes", "no"):
        return None
    if said.output == "no":
        return look(
            "clock", f"not synchronized; it says {ground.now:%Y-%m-%d %H:%M:%S} UTC",
            "timedatectl set-ntp true: leases and expiries go by this clock",
        )  # fmt: skip
    return fine("clock", "synchronized")


def check_disk(ground: Ground) -> Finding:
    place = _existing(ground.settings.home)
    free_mib = ground.free_mib(place)
    if free_mib < _LEAST_DISK_MIB:
        return missing(
            "disk", f"{free_mib} MiB free at {place}", f"make room: at least {_LEAST_DISK_MIB} MiB"
        )
    return fine("disk", f"{free_mib} MiB free at {place}")


def check_read_only(ground: Ground) -> Finding | None:
    device, options = _mount_of(ground)
    if not device:
        return None
    if "ro" in options:
        return missing(
            "file system", f"{device} is mounted read-only",
            "an SD card that fails does this: back up what can be read, then fsck or replace it",
        )  # fmt: skip
    return fine("file system", f"{device} can be written")


def check_sd_card(ground: Ground) -> Finding | None:
    device, _ = _mount_of(ground)
    if device.startswith("/dev/mmcblk"):
        return look(
            "sd card", f"the home is on {device}",
            "cards wear out: move D8_HOME to an SSD, or back up often with 'd8 backup'",
        )  # fmt: skip
    return None


def check_power(ground: Ground) -> Finding | None:
    """Under-voltage of a Raspberry Pi: the firmware's word, or its driver's alarm."""
    said = ground.run(["vcgencmd", "get_throttled"])
    flags = re.search(r"throttled=0x([0-9a-fA-F]+)", said.output) if said.code == 0 else None
    if flags is not None:
        now, before = int(flags[1], 16) & 0x1, int(flags[1], 16) & 0x10000
    else:
        alarms = [
            read_text_or_empty(path.parent / "in0_lcrit_alarm")
            for path in ground.root.glob("sys/class/hwmon/*/name")
            if read_text_or_empty(path) == "rpi_volt"
        ]
        if not alarms:
            return None
        now, before = int("1" in alarms), 0
    remedy = "use the official power supply and a short cable: under-voltage corrupts SD cards"
    if now:
        return missing("power", "the voltage is too low now", remedy)
    if before:
        return look("power", "the voltage was too low since the start", remedy)
    return fine("power", "no under-voltage")


def check_temperature(ground: Ground) -> Finding | None:
    texts = [read_text_or_empty(path) for path in ground.root.glob("sys/class/thermal/thermal_zone*/temp")]
    degrees = [int(text) // 1000 for text in texts if text.lstrip("-").isdigit()]
    if not degrees:
        return None
    if max(degrees) >= _HOT_C:
        return look("temperature", f"{max(degrees)} °C", "cool it: a hot machine slows down, and wears out")
    return fine("temperature", f"{max(degrees)} °C")


def check_memory(ground: Ground) -> Finding:
    free_mib = _memory(ground).get("MemAvailable", 0)
    if free_mib < _LEAST_MEMORY_MIB:
        return look("memory", f"{free_mib} MiB available", "close other programs, or run fewer workers here")
    return fine("memory", f"{free_mib} MiB available")


def check_swap(ground: Ground) -> Finding:
    memory = _memory(ground)
    total, free = memory.get("SwapTotal", 0), memory.get("SwapFree", 0)
    if total and free < total // 4:
        return look("swap", f"{total - free} of {total} MiB used", "more memory, or fewer programs here")
    return fine("swap", f"{total - free} of {total} MiB used" if total else "none")


def check_open_files(ground: Ground) -> Finding:
    if ground.open_files < _LEAST_OPEN_FILES:
        return look("open files", f"at most {ground.open_files}", f"ulimit -n {_LEAST_OPEN_FILES * 4}")
    return fine("open files", f"at most {ground.open_files}")


def check_torch(_: Ground) -> Finding:
    if importlib.util.find_spec("torch"):
        return fine("torch", "installed: workers can run here")
    return look(
        "torch", "not installed: this machine can be a master, not a worker",
        "'scripts/env --worker' where a worker is to run",
    )  # fmt: skip


def check_gpu(ground: Ground) -> Finding:
    said = ground.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    if said.code == 0:
        return fine("gpu driver", "; ".join(said.output.splitlines()))
    vendors = [read_text_or_empty(path) for path in ground.root.glob("sys/class/drm/card*/device/vendor")]
    if said.code is not None:
        first = said.output.splitlines()[0] if said.output else f"exit status {said.code}"
        return missing(
            "gpu driver", first, "restart the machine after a driver update, or install the driver again"
        )
    if "0x10de" in vendors:
        return missing(
            "gpu driver", "an NVIDIA GPU without its driver", "install it: 'apt install nvidia-driver'"
        )
    return fine("gpu driver", "no NVIDIA GPU")


def check_docker(ground: Ground) -> Finding:
    said = ground.run(["docker", "version", "--format", "{{json .Server}}"])
    meaning = "untrusted code runs only in Docker"
    if said.code is None:
        return look("docker", f"not installed: {meaning}", "install docker.io where steps run code")
    if said.code != 0:
        return look(
            "docker", f"does not answer ({said.output.splitlines()[-1] if said.output else said.code})",
            "start it, and let this user into its group: 'sudo usermod -aG docker $USER'",
        )  # fmt: skip
    version = str(_server(said.output).get("Version", ""))
    if _numbers(version) < (_LEAST_DOCKER,):
        return look("docker", f"version {version}", f"update it: {_LEAST_DOCKER} at least")
    return fine("docker", f"version {version}: {meaning}")


def check_runc(ground: Ground) -> Finding | None:
    said = ground.run(["docker", "version", "--format", "{{json .Server}}"])
    parts = _server(said.output).get("Components") if said.code == 0 else None
    for part in parts or ():
        if part.get("Name") == "runc":
            version = str(part.get("Version", ""))
            if _numbers(version) < _SAFE_RUNC:
                return missing(
                    "runc", f"version {version} lets code out of its container", "update Docker and runc"
                )
            return fine("runc", f"version {version}")
    return None


def _server(output: str) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _memory(ground: Ground) -> dict[str, int]:
    """Of proc(5), in MiB."""
    lines = read_text_or_empty(ground.root / "proc/meminfo").splitlines()
    found = (re.fullmatch(r"(\w+):\s+(\d+) kB", line) for line in lines)
    return {match[1]: int(match[2]) // 1024 for match in found if match}


def _mount_of(ground: Ground) -> tuple[str, list[str]]:
    """Device and options of the file system that holds the home."""
    place = _existing(ground.settings.home).resolve()
    best: tuple[str, list[str]] = ("", [])
    longest = -1
    for line in read_text_or_empty(ground.root / "proc/mounts").splitlines():
        device, point, _, options, *_rest = line.split()
        if place.is_relative_to(point) and len(point) >= longest:
            best, longest = (device, options.split(",")), len(point)
    return best


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


CHECKS = {
    "python": check_python,
    "clock": check_clock,
    "disk": check_disk,
    "file system": check_read_only,
    "sd card": check_sd_card,
    "power": check_power,
    "temperature": check_temperature,
    "memory": check_memory,
    "swap": check_swap,
    "open files": check_open_files,
    "torch": check_torch,
    "gpu driver": check_gpu,
    "docker": check_docker,
    "runc": check_runc,
}
