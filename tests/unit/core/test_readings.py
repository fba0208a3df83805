"""A machine's numbers: of one moment, of a minute, of a quarter of an hour."""

from __future__ import annotations

from master.fleet.readings import GpuReading, Reading, combine, gather, pack, read_hardware, unpack
from tasks.protocol import Gpu, Hardware

HARDWARE = Hardware(
    machine="x86_64",
    cpus=8,
    memory_mib=32_000,
    memory_free_mib=24_000,
    disk_free_mib=1,
    cpu_pct=40.0,
    gpus=(Gpu(name="card", memory_mib=24_000, memory_used_mib=6_000, temperature_c=61, use_pct=80),),
)


def test_reading_is_what_changes_of_the_hardware() -> None:
    reading = read_hardware(HARDWARE)
    gpu = GpuReading(memory_used_mib=6_000, use_pct=80, temperature_c=61)
    assert reading == Reading(cpu_pct=40.0, memory_used_mib=8_000, gpus=(gpu,))


def test_minute_has_the_mean_use_and_the_highest_memory_and_temperature() -> None:
    def of(use: float, memory: int, heat: int) -> Reading:
        gpu = GpuReading(memory_used_mib=memory, use_pct=use, temperature_c=heat)
        return Reading(cpu_pct=use, memory_used_mib=memory, gpus=(gpu,))

    gathered, over = gather(None, of(0, 100, 70), 7)
    assert over is None
    for reading in (of(30, 300, 50), of(90, 200, 60)):
        gathered, over = gather(gathered, reading, 7)
        assert over is None
    assert gathered.heard == 3
    gathered, over = gather(gathered, of(1, 1, 1), 8)
    assert over is not None
    assert (over.minute, over.reading) == (7, of(40, 300, 70))
    assert (gathered.minute, gathered.heard) == (8, 1)


def test_what_a_driver_does_not_say_stays_unsaid_and_is_no_zero() -> None:
    silent = Reading(cpu_pct=0, memory_used_mib=0, gpus=(GpuReading(memory_used_mib=5),))
    telling = Reading(cpu_pct=0, memory_used_mib=0, gpus=(GpuReading(memory_used_mib=5, use_pct=50),))
    assert combine([(1, silent), (3, silent)]).gpus[0] == GpuReading(memory_used_mib=5)
    assert combine([(9, silent), (1, telling)]).gpus[0].use_pct == 50


def test_gpu_that_came_or_went_within_the_span_counts_where_it_was() -> None:
    none = Reading(cpu_pct=0, memory_used_mib=0)
    two = Reading(
        cpu_pct=0,
        memory_used_mib=0,
        gpus=(GpuReading(memory_used_mib=1), GpuReading(memory_used_mib=2, use_pct=10)),
    )
    assert combine([(1, none), (1, two)]).gpus == two.gpus


def test_packed_reading_is_short_and_comes_back() -> None:
    gpus = (GpuReading(memory_used_mib=6_000, use_pct=80.5, temperature_c=61), GpuReading(memory_used_mib=0))
    reading = Reading(cpu_pct=12.5, memory_used_mib=8_000, gpus=gpus)
    assert unpack(pack(reading)) == reading
    assert len(pack(reading)) < 60
    assert unpack(pack(Reading(cpu_pct=1, memory_used_mib=2))) == Reading(cpu_pct=1, memory_used_mib=2)
