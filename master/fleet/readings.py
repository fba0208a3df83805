"""What a machine's numbers are in one moment, and what many moments come to. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from tasks.protocol import Hardware
from tasks.record import Record


class GpuReading(Record):
    """One GPU, in the order in which its driver shows it."""

    memory_used_mib: int
    #: None where the driver does not say.
    use_pct: float | None = None
    temperature_c: int | None = None


class Reading(Record):
    """One machine. Of several moments: mean use, highest memory and temperature, since these are what
    fails at its peak."""

    cpu_pct: float
    memory_used_mib: int
    gpus: tuple[GpuReading, ...] = ()


class Gathered(Record):
    """What has been heard in the current minute."""

    #: The minute's number since the epoch.
    minute: int
    heard: int
    reading: Reading


def read_hardware(hardware: Hardware) -> Reading:
    """The numbers that change, of what a heartbeat brings."""
    return Reading(
        cpu_pct=hardware.cpu_pct,
        memory_used_mib=max(0, hardware.memory_mib - hardware.memory_free_mib),
        gpus=tuple(
            GpuReading(
                memory_used_mib=gpu.memory_used_mib, use_pct=gpu.use_pct, temperature_c=gpu.temperature_c
            )
            for gpu in hardware.gpus
        ),
    )


def gather(before: Gathered | None, reading: Reading, minute: int) -> tuple[Gathered, Gathered | None]:
    """What is gathered with this reading; and the minute that is over by it, if one is."""
    if before is None or before.minute != minute:
        return Gathered(minute=minute, heard=1, reading=reading), before
    heard = before.heard + 1
    together = combine([(before.heard, before.reading), (1, reading)])
    return Gathered(minute=minute, heard=heard, reading=together), None


def combine(weighted: Sequence[tuple[int, Reading]]) -> Reading:
    """One reading for several, each with how often it counts. At least one."""
    gpus = zip_longest(*[[(weight, gpu) for gpu in reading.gpus] for weight, reading in weighted])
    return Reading(
        cpu_pct=_mean([(weight, reading.cpu_pct) for weight, reading in weighted]) or 0.0,
        memory_used_mib=max(reading.memory_used_mib for _, reading in weighted),
        gpus=tuple(_combine_gpus([each for each in same if each is not None]) for same in gpus),
    )


def _combine_gpus(weighted: Sequence[tuple[int, GpuReading]]) -> GpuReading:
    temperatures = [gpu.temperature_c for _, gpu in weighted if gpu.temperature_c is not None]
    return GpuReading(
        memory_used_mib=max(gpu.memory_used_mib for _, gpu in weighted),
        use_pct=_mean([(weight, gpu.use_pct) for weight, gpu in weighted]),
        temperature_c=max(temperatures, default=None),
    )


def _mean(weighted: Sequence[tuple[int, float | None]]) -> float | None:
    known = [(weight, value) for weight, value in weighted if value is not None]
    whole = sum(weight for weight, _ in known)
    return sum(weight * value for weight, value in known) / whole if whole else None


def pack(reading: Reading) -> str:
    """A short text: there are a hundred thousand of them."""
    gpus = [[gpu.memory_used_mib, _short(gpu.use_pct), gpu.temperature_c] for gpu in reading.gpus]
    packed = [_short(reading.cpu_pct), reading.memory_used_mib, *([gpus] if gpus else [])]
    return json.dumps(packed, separators=(",", ":"))


def unpack(text: str) -> Reading:
    """What was packed. Built without checking: it was checked when it came, and a chart has a thousand."""
    packed: list[Any] = json.loads(text)
    return Reading.model_construct(
        cpu_pct=packed[0],
        memory_used_mib=packed[1],
        gpus=tuple(
            GpuReading.model_construct(memory_used_mib=used, use_pct=use, temperature_c=heat)
            for used, use, heat in (packed[2] if len(packed) > 2 else ())
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GpuSeries:
    """Of one GPU, a number for each time; None where it was not there or does not tell."""

    memory_used_mib: list[float | None]
    use_pct: list[float | None]
    temperature_c: list[float | None]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One machine's numbers over time, by what they are of: a chart has thousands, and no use for a record
    of each."""

    #: Seconds since the epoch, in their order.
    at_s: list[float]
    cpu_pct: list[float | None]
    memory_used_mib: list[float | None]
    gpus: list[GpuSeries]


def unpack_series(rows: Sequence[tuple[float, str]]) -> Series:
    """Packed readings with their times, all read at once."""
    packed: list[list[Any]] = json.loads(f"[{','.join(text for _, text in rows)}]")
    gpus = [reading[2] if len(reading) > 2 else () for reading in packed]
    count = max((len(each) for each in gpus), default=0)

    def column(number: int, place: int) -> list[float | None]:
        return [each[number][place] if number < len(each) else None for each in gpus]

    return Series(
        at_s=[at_s for at_s, _ in rows],
        cpu_pct=[reading[0] for reading in packed],
        memory_used_mib=[reading[1] for reading in packed],
        gpus=[
            GpuSeries(
                memory_used_mib=column(number, 0),
                use_pct=column(number, 1),
                temperature_c=column(number, 2),
            )
            for number in range(count)
        ],
    )


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
