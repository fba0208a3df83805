"""What the fleet's pages show of a worker, computed from what is known of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from master.fleet.readings import read_hardware
from master.fleet.states import WorkerState
from master.web.fleet.charts import say_degrees, say_mib, say_percent
from tasks.protocol import Gpu, Hardware, ModelServerStats
from tasks.record import Record


def N_(text: str) -> str:  # noqa: N802 (gettext's name for it)
    """Marks a message that the template translates."""
    return text


#: States as the owner reads them.
STATE_NAMES = {
    WorkerState.JOINING: N_("joining"),
    WorkerState.ACTIVE: N_("active"),
    WorkerState.DRAINING: N_("draining"),
    WorkerState.WRONG_BUILD: N_("wrong build"),
    WorkerState.QUARANTINED: N_("quarantined"),
    WorkerState.OFFLINE: N_("offline"),
    WorkerState.REMOVED: N_("removed"),
}
#: How attempts end, and "" for one that goes on.
OUTCOME_NAMES = {
    "": N_("in progress"),
    "done": N_("succeeded"),
    "permanent": N_("failed for good"),
    "transient": N_("failed"),
    "deadline": N_("took too long"),
    "crashed": N_("crashed"),
    "lost": N_("was lost"),
    "cancelled": N_("stopped"),
}
#: Address, words, length, and the span of the samples that are shown.
RANGES: Mapping[str, tuple[str, timedelta, int]] = {
    "1h": (N_("1 hour"), timedelta(hours=1), 60),
    "6h": (N_("6 hours"), timedelta(hours=6), 60),
    "24h": (N_("24 hours"), timedelta(hours=24), 60),
    "7d": (N_("7 days"), timedelta(days=7), 900),
    "30d": (N_("30 days"), timedelta(days=30), 900),
}
USUAL_RANGE = "6h"
#: What stands first on the page: what somebody must look at.
_ORDER = {
    WorkerState.QUARANTINED: 0,
    WorkerState.WRONG_BUILD: 1,
    WorkerState.OFFLINE: 2,
    WorkerState.JOINING: 3,
    WorkerState.DRAINING: 4,
    WorkerState.ACTIVE: 5,
}


class GpuNow(Record):
    """A GPU as it was heard of last. Parts of a hundred for what is drawn, words for what is read."""

    number: int
    name: str
    memory_pct: int
    memory: str
    use_pct: int | None
    use: str
    temperature: str
    #: So hot that it slows down or will.
    hot: bool


#: NVIDIA's consumer cards begin to slow down at 83 to 88 °C.
_HOT_C = 85


def gpus_now(hardware: Hardware) -> list[GpuNow]:
    return [_gpu_now(number, gpu) for number, gpu in enumerate(hardware.gpus)]


def _gpu_now(number: int, gpu: Gpu) -> GpuNow:
    return GpuNow(
        number=number,
        name=gpu.name,
        memory_pct=_share(gpu.memory_used_mib, gpu.memory_mib),
        memory=f"{_gib(gpu.memory_used_mib)} / {say_mib(gpu.memory_mib)}",
        use_pct=gpu.use_pct,
        use="" if gpu.use_pct is None else say_percent(gpu.use_pct),
        temperature="" if gpu.temperature_c is None else say_degrees(gpu.temperature_c),
        hot=gpu.temperature_c is not None and gpu.temperature_c >= _HOT_C,
    )


def host_now(hardware: Hardware) -> dict[str, Any]:
    """Processors and memory as they were heard of last."""
    reading = read_hardware(hardware)
    return {
        "cpu": say_percent(reading.cpu_pct),
        "memory": f"{_gib(reading.memory_used_mib)} / {say_mib(hardware.memory_mib)}",
        "memory_pct": _share(reading.memory_used_mib, hardware.memory_mib),
    }


def is_here(worker: Mapping[str, Any]) -> bool:
    """Whether it is heard from. One that was invited and never started has no build yet."""
    return bool(worker["build"]) and worker["state"] not in (WorkerState.OFFLINE, WorkerState.REMOVED)


def acts_for(worker: Mapping[str, Any], fleet_build: str) -> frozenset[str]:
    """What the owner can do with it now."""
    state, here = worker["state"], is_here(worker)
    other_build = worker["build"] != fleet_build != worker["update_to"]
    found = {
        "drain": here and state == WorkerState.ACTIVE,
        "resume": here and state in (WorkerState.DRAINING, WorkerState.QUARANTINED),
        "update": here and other_build and worker["can_update"],
        "log": here,
        "remove": state != WorkerState.REMOVED,
    }
    return frozenset(verb for verb, possible in found.items() if possible)


def in_order(workers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that somebody must look at first, then by name."""
    return sorted(workers, key=lambda worker: (_ORDER.get(worker["state"], 9), worker["name"]))


def add_up(workers: Sequence[Mapping[str, Any]], fleet_build: str) -> dict[str, Any]:
    """The fleet in numbers: GPU memory of those that are heard from."""
    here = [w for w in workers if is_here(w)]
    gpus = [gpu for w in here for gpu in Hardware.model_validate(w["hardware"]).gpus]
    active = [w for w in workers if w["state"] == WorkerState.ACTIVE]
    return {
        "workers": len(workers),
        "active": len(active),
        "busy": sum(len(w["running"]) for w in here),
        "slots": sum(w["slots"] for w in active),
        "gpus": len(gpus),
        "gpu_memory_used": _gib(sum(gpu.memory_used_mib for gpu in gpus)),
        "gpu_memory": say_mib(sum(gpu.memory_mib for gpu in gpus)),
        "outdated": sum(w["build"] != fleet_build for w in here),
    }


def describe_server(worker: Mapping[str, Any]) -> ModelServerStats | None:
    """Its model server's latest numbers; None where it has none running."""
    found = worker["model_server"]
    return None if found is None else ModelServerStats.model_validate(found)


def log_lines(text: str, most: int) -> tuple[list[dict[str, str]], int]:
    """The last lines with what a reader looks for first, and how many were left out."""
    lines = text.splitlines()
    shown = lines[-most:]
    return [{"text": line, "level": _level(line)} for line in shown], len(lines) - len(shown)


def _level(line: str) -> str:
    """``2026-11-21T12:00:00 W d8.agent ...``: what is no such line, a traceback's say, is plain."""
    mark = line[20:21] if len(line) > 21 and line[19:20] == " " and line[21:22] == " " else ""
    return {"W": "warning", "E": "error", "C": "error"}.get(mark, "")


def _share(used: float, whole: float) -> int:
    return max(0, min(100, round(100 * used / whole))) if whole > 0 else 0


def _gib(mib: float) -> str:
    """The number alone, in the unit that the whole has beside it."""
    return f"{mib / 1024:.1f}"
