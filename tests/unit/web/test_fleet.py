"""What the fleet's pages draw and say, computed from what is known of a worker."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from master.fleet.readings import GpuReading, Reading, Series, pack, unpack_series
from master.web.fleet.acts import check_invite
from master.web.fleet.charts import (
    HEIGHT,
    MOST_POINTS,
    WIDTH,
    Chart,
    Scale,
    Window,
    charts_of,
    draw,
    mean,
    say_percent,
    sparks_of,
)
from master.web.fleet.shapes import acts_for, add_up, gpus_now, in_order, log_lines
from tasks.errors import InvalidInput
from tasks.protocol import Gpu, Hardware

END = datetime(2026, 11, 21, 12, tzinfo=UTC)
START = END - timedelta(hours=1)
USE = Scale(kind="gpu_use", ceiling=100, say=say_percent, choose=mean)
CARD = Gpu(name="card", memory_mib=24_576, memory_used_mib=6_144, use_pct=80, temperature_c=86)
HARDWARE = Hardware(
    machine="m",
    cpus=8,
    memory_mib=32_768,
    memory_free_mib=16_384,
    disk_free_mib=1,
    cpu_pct=12.6,
    gpus=(CARD,),
)


HOUR = Window(start=START, end=END, span_s=60)


def chart_of(
    *values: tuple[int, float], scale: Scale = USE, unit_s: int = 60, span_s: int = 60
) -> Chart | None:
    """Of numbers at so many minutes after the start."""
    at_s = [START.timestamp() + unit_s * place for place, _ in values]
    window = dataclasses.replace(HOUR, span_s=span_s)
    return draw(scale, at_s, [value for _, value in values], window)


def drawn(*values: tuple[int, float]) -> Chart:
    chart = chart_of(*values)
    assert chart is not None
    return chart


def test_line_runs_from_left_to_right_and_from_the_floor_to_the_ceiling() -> None:
    chart = drawn((0, 0.0), (1, 100.0))
    assert chart.line == f"M0.0 {HEIGHT:.1f}L{WIDTH / 60:.1f} 0.0"
    assert chart.area == f"{chart.line} V{HEIGHT} H0.0 Z"
    assert (chart.top, chart.middle, chart.bottom, chart.newest) == ("100 %", "50 %", "0 %", "100 %")


def test_line_is_broken_where_nothing_was_heard() -> None:
    assert drawn((0, 1), (1, 1), (2, 1)).line.count("M") == 1
    assert drawn((0, 1), (1, 1), (30, 1), (31, 1)).line.count("M") == 2


def test_number_above_the_ceiling_stays_in_the_picture_and_is_told() -> None:
    chart = drawn((0, 50), (1, 120))
    assert chart.top == "120 %"
    assert "-" not in chart.line


def test_long_time_is_thinned_and_keeps_its_highest_memory() -> None:
    many = [(second, 99.0 if second == 1801 else 1.0) for second in range(3600)]
    peaks = chart_of(*many, scale=dataclasses.replace(USE, choose=max), unit_s=1, span_s=1)
    assert peaks is not None
    assert len(peaks.points) == MOST_POINTS
    assert [text for _, _, text in peaks.points].count("99 %") == 1
    means = chart_of(*many, unit_s=1, span_s=1)
    assert means is not None
    assert "99 %" not in [text for _, _, text in means.points]


def test_nothing_in_this_time_is_no_chart_and_one_point_is_a_stroke() -> None:
    assert chart_of((-1, 1.0)) is None
    assert drawn((5, 7)).line.endswith("h1")


def series(*readings: Reading) -> Series:
    return unpack_series(
        [(START.timestamp() + 60 * place, pack(each)) for place, each in enumerate(readings)]
    )


def test_gpu_that_does_not_tell_its_temperature_has_no_chart_of_it() -> None:
    told = GpuReading(memory_used_mib=1, use_pct=5.0)
    own = series(Reading(cpu_pct=1, memory_used_mib=1, gpus=(told,)))
    found = charts_of(HARDWARE, own, HOUR)
    assert [(chart.kind, chart.gpu) for chart in found] == [
        ("gpu_use", 0), ("gpu_memory", 0), ("cpu", None), ("memory", None),
    ]  # fmt: skip
    # A card that was put in later was not there then.
    assert charts_of(HARDWARE.model_copy(update={"gpus": (CARD, CARD)}), own, HOUR) == found


def test_gpu_that_came_later_has_a_line_from_then_on() -> None:
    bare, told = Reading(cpu_pct=1, memory_used_mib=1), GpuReading(memory_used_mib=1, use_pct=5.0)
    own = series(bare, bare, bare.model_copy(update={"gpus": (told,)}))
    assert own.gpus[0].use_pct == [None, None, 5.0]
    assert [len(chart.points) for chart in charts_of(HARDWARE, own, HOUR)] == [1, 1, 3, 3]


def test_list_shows_a_machine_without_gpus_by_its_processors() -> None:
    own = series(Reading(cpu_pct=1, memory_used_mib=1, gpus=(GpuReading(memory_used_mib=1, use_pct=5.0),)))
    assert [each.kind for each in sparks_of(HARDWARE, own, HOUR)] == ["gpu_use", "gpu_memory"]
    bare = HARDWARE.model_copy(update={"gpus": ()})
    assert [each.kind for each in sparks_of(bare, own, HOUR)] == ["cpu", "memory"]
    assert unpack_series([]) == Series(at_s=[], cpu_pct=[], memory_used_mib=[], gpus=[])


def worker(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "state": state, "build": "b", "update_to": "", "can_update": True, "running": [], "slots": 2,
        "hardware": HARDWARE.model_dump(mode="json"), **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "more", "verbs"),
    [
        ("active", {}, {"drain", "log", "remove"}),
        ("draining", {}, {"resume", "log", "remove"}),
        ("quarantined", {}, {"resume", "log", "remove"}),
        ("wrong_build", {"build": "old"}, {"update", "log", "remove"}),
        ("wrong_build", {"build": "old", "update_to": "b"}, {"log", "remove"}),
        ("wrong_build", {"build": "old", "can_update": False}, {"log", "remove"}),
        ("offline", {"build": "old"}, {"remove"}),
        ("joining", {"build": ""}, {"remove"}),
        ("removed", {}, set()),
    ],
)
def test_only_what_would_be_accepted_is_offered(state: str, more: dict[str, Any], verbs: set[str]) -> None:
    assert acts_for(worker("a", state, **more), "b") == verbs


def test_who_needs_somebody_stands_first() -> None:
    fleet = [worker("b", "active"), worker("a", "active"), worker("c", "offline"), worker("d", "quarantined")]
    assert [each["name"] for each in in_order(fleet)] == ["d", "c", "a", "b"]


def test_sums_count_who_is_heard_from() -> None:
    fleet = [
        worker("a", "active", running=[{}]),
        worker("b", "wrong_build", build="old"),
        worker("c", "offline", build="old"),
        worker("d", "joining", build=""),
    ]
    sums = add_up(fleet, "b")
    assert (sums["workers"], sums["active"], sums["busy"], sums["slots"]) == (4, 1, 1, 2)
    assert (sums["gpus"], sums["outdated"]) == (2, 1)
    assert (sums["gpu_memory_used"], sums["gpu_memory"]) == ("12.0", "48.0 GiB")


def test_gpu_is_said_in_shares_and_words() -> None:
    (gpu,) = gpus_now(HARDWARE)
    assert (gpu.memory, gpu.memory_pct, gpu.use, gpu.temperature) == ("6.0 / 24.0 GiB", 25, "80 %", "86 °C")
    assert gpu.hot
    silent = Gpu(name="old", memory_mib=0)
    (gpu,) = gpus_now(HARDWARE.model_copy(update={"gpus": (silent,)}))
    assert (gpu.use, gpu.temperature, gpu.memory_pct, gpu.hot) == ("", "", 0, False)


def test_log_shows_its_end_and_marks_what_is_no_ordinary_line() -> None:
    text = "\n".join(
        [
            "2026-11-21T11:59:59 I d8.runner step_claimed step=1",
            "2026-11-21T12:00:00 W d8.agent master_away",
            "2026-11-21T12:00:01 E d8.runner handler_failed",
            "Traceback (most recent call last):",
        ]
    )
    lines, more = log_lines(text, 3)
    assert more == 1
    assert [line["level"] for line in lines] == ["warning", "error", ""]
    assert log_lines("", 3) == ([], 0)


@pytest.mark.parametrize(("worker", "hours"), [("", "1"), ("garage-pc", "24"), ("a.b_c", "0.5")])
def test_invite_takes_names_and_times_that_are_right(worker: str, hours: str) -> None:
    assert check_invite(worker, hours) == (worker, float(hours))


@pytest.mark.parametrize(
    ("worker", "hours"),
    [("-x", "1"), ("a b", "1"), ("x" * 64, "1"), ("a", "0"), ("a", "721"), ("a", "nan"), ("a", "")],
)
def test_invite_says_what_is_wrong(worker: str, hours: str) -> None:
    with pytest.raises(InvalidInput):
        check_invite(worker, hours)
