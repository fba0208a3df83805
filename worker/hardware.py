"""What this machine has. Asks the driver's own tool, never torch: a process that has touched CUDA
cannot fork workers that use it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import psutil

from tasks.protocol import Gpu, Hardware

_QUERY = [
    "nvidia-smi",
    "--query-gpu=name,memory.total,driver_version,compute_cap",
    "--format=csv,noheader,nounits",
]


def probe_hardware(home: Path) -> Hardware:
    """Cores, memory, free disk under ``home``, GPUs. What cannot be found out is left out."""
    return Hardware(
        machine=platform.machine(),
        cpus=len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else psutil.cpu_count() or 1,
        memory_mib=psutil.virtual_memory().total // 2**20,
        disk_free_mib=psutil.disk_usage(str(_existing(home))).free // 2**20,
        gpus=tuple(probe_gpus()),
    )


def probe_gpus() -> list[Gpu]:
    """The NVIDIA GPUs that the driver shows, or none."""
    try:
        answer = subprocess.run(_QUERY, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_gpus(answer.stdout) if answer.returncode == 0 else []


def parse_gpus(text: str) -> list[Gpu]:
    """``nvidia-smi``'s lines of name, memory (MiB), driver and compute capability."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[1].isdigit():
            gpus.append(
                Gpu(name=fields[0], memory_mib=int(fields[1]), driver=fields[2], compute_capability=fields[3])
            )
    return gpus


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
