"""What the pages show, computed from what the database holds. Pure: no request, no clock, no query."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from master.ledger.money import format_money
from tasks.protocol import ModelServerStats

#: Steps that a page lists at most; a large run has thousands.
MOST_STEPS = 100
#: Slots drawn one by one; beyond this the numbers alone are clearer.
MOST_PIPS = 16

#: Before everything that has ended well: what a person looks for in a long list.
_STEP_ORDER = {"failed": 0, "running": 1, "waiting": 2, "queued": 3, "ready": 4}

_DIGEST = re.compile(r"[0-9a-f]{64}")

#: What a browser may show as a picture.
IMAGE_TYPES = frozenset({"image/svg+xml", "image/png"})


def format_duration(seconds: float) -> str:
    """The two largest units: ``0.4 s``, ``12 s``, ``3 min 4 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 0:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size_s, unit, small_s, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size_s:
            rest = whole % size_s // small_s
            return f"{whole // size_s} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def format_roughly(seconds: float) -> str:
    """An estimate is not told to the second: ``1 min``, ``25 min``, ``2 h 40 min``, ``3 d 4 h``."""
    minutes = max(1, round(seconds / 60))
    step = 1 if minutes < 20 else 5 if minutes < 240 else 30
    return format_duration(60 * step * max(1, round(minutes / step)))


def format_age(at: datetime, now: datetime) -> str:
    """The largest unit alone: ``8 s``, ``3 min``, ``2 h``, ``5 d``. A clock that is ahead gives ``0 s``."""
    elapsed_s = max(0, int((now - at).total_seconds()))
    for size_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if elapsed_s >= size_s:
            return f"{elapsed_s // size_s} {unit}"
    return f"{elapsed_s} s"


def format_size(size: int) -> str:
    """Bytes in binary units."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def took(started: datetime | None, ended: datetime | None, now: datetime) -> str:
    """How long it ran, or has been running; "" for what has not started."""
    return format_duration(((ended or now) - started).total_seconds()) if started is not None else ""


def percent(progress: float) -> int:
    """0 to 100, whatever a worker reported. 100 only when it is really all."""
    return max(0, min(100, int(progress * 100 + 1e-9)))


def format_number(value: float) -> str:
    """Four significant digits, no trailing zeros; large ones in full."""
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """A JSON value, ready to be drawn: ``text``, ``digest``, ``list``, ``table`` or ``group``."""

    kind: str
    text: str = ""
    #: Of a group: label and value. Of a list: values with empty labels.
    items: tuple[tuple[str, Node], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Node, ...], ...] = ()
    #: How many were left out.
    more: int = 0


def to_node(value: Any, *, most: int = 60, depth: int = 6) -> Node:
    """Records become groups, lists of flat records tables, short lists one line. What is nested deeper
    than ``depth`` or longer than ``most`` is cut and says so."""
    if isinstance(value, Mapping) and value and depth:
        shown = list(value.items())[:most]
        items = tuple((_label(key), to_node(each, most=most, depth=depth - 1)) for key, each in shown)
        return Node(kind="group", items=items, more=len(value) - len(shown))
    if isinstance(value, list | tuple) and value and depth:
        return _list_node(value, most, depth)
    text = _scalar(value)
    return Node(kind="digest" if _DIGEST.fullmatch(text) else "text", text=text)


def _list_node(values: Sequence[Any], most: int, depth: int) -> Node:
    shown, more = values[:most], max(0, len(values) - most)
    if all(isinstance(each, Mapping) and each and not any(map(_nested, each.values())) for each in shown):
        names = list(dict.fromkeys(name for each in shown for name in each))
        rows = tuple(tuple(to_node(each.get(name, ""), depth=0) for name in names) for each in shown)
        return Node(kind="table", columns=tuple(map(_label, names)), rows=rows, more=more)
    if not any(map(_nested, shown)) and sum(len(_scalar(each)) for each in shown) <= 200:
        return Node(kind="text", text=", ".join(map(_scalar, shown)), more=more)
    items = tuple(("", to_node(each, most=most, depth=depth - 1)) for each in shown)
    return Node(kind="list", items=items, more=more)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _scalar(value: Any) -> str:
    if value is None or value == "" or value == {} or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format_number(value)
    return str(value)


def _label(key: object) -> str:
    """``cost_minor`` -> ``cost minor``; a name with capitals, dots or spaces stays as it is."""
    text = str(key)
    return text.replace("_", " ") if re.fullmatch(r"[a-z0-9_]+", text) else text


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def collapse_events(events: Iterable[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """Newest first in, newest first out; neighbors with one name, run and worker become one with a
    ``count``. Claims and reports of a run pair up a hundred times a second: claims are left out."""
    rows: list[dict[str, Any]] = []
    for event in events:
        if event["name"] == "step_claimed":
            continue
        same = ("name", "run_id", "worker") if event["name"] == "step_done" else ()
        if rows and same and all(rows[-1][field] == event[field] for field in same):
            rows[-1]["count"] += 1
            continue
        if len(rows) == most:
            break
        rows.append({**event, "count": 1})
    return rows


def steps_to_show(steps: Sequence[Mapping[str, Any]], most: int = MOST_STEPS) -> list[Mapping[str, Any]]:
    """All steps in order when they fit; else failed and open ones first, then the latest."""
    if len(steps) <= most:
        return list(steps)
    return sorted(steps, key=lambda step: (_STEP_ORDER.get(step["state"], 5), -step["id"]))[:most]


def slots_of(worker: Mapping[str, Any]) -> dict[str, Any]:
    """Busy and all slots, and the pips to draw: True for busy. None for a worker with many."""
    busy, slots = len(worker["running"]), worker["slots"]
    pips = [number < busy for number in range(max(slots, busy))]
    return {"busy": busy, "slots": slots, "pips": pips if len(pips) <= MOST_PIPS else []}


def model_server_of(worker: Mapping[str, Any]) -> dict[str, Any] | None:
    """The latest numbers of its model server in words; None where it has none running."""
    if worker["model_server"] is None:
        return None
    stats = ModelServerStats.model_validate(worker["model_server"])
    ended = {"cancelled": stats.cancelled, "expired": stats.expired, "rejected": stats.rejected}
    ended |= {"failed": stats.failed, "kept": stats.kept}
    others = [f"{count:,} {name}" for name, count in ended.items() if count]
    memory = {"memory": stats.memory_mib, "GPU memory": stats.gpu_memory_mib}
    return {
        "models": stats.models,
        # Of the rows that there may be, 0 to 1.
        "busy": stats.rows / stats.max_rows if stats.max_rows else 0.0,
        "now": [
            f"{stats.rows} of {stats.max_rows} rows",
            f"{stats.waiting:,} in the queue",
            f"{format_number(round(stats.tokens_per_s, 1))} tokens/s",
        ],
        "facts": [
            ("occupancy", f"{stats.occupancy:.1f} rows a pass"),
            ("prefix hits", f"{percent(stats.prefix_hit_rate)} %"),
            ("padding", f"{percent(stats.padding_share)} %"),
            ("p50 / p95", f"{format_latency(stats.latency_p50_s)} / {format_latency(stats.latency_p95_s)}"),
            *[(name, format_size(round(mib * 2**20))) for name, mib in memory.items() if mib],
            ("tokens", f"{stats.prompt_tokens:,} read, {stats.generated_tokens:,} written"),
            ("answers", ", ".join([f"{stats.done:,} done", *others])),
        ],
    }


def format_latency(seconds: float) -> str:
    """Milliseconds below a second: ``37 ms``, ``2.4 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else format_duration(seconds)


def describe_usage(usage: Mapping[str, Any]) -> str:
    """What a step asked of models, in one line; "" for a step that asked nothing."""
    models = []
    for each in usage.get("models", ()):
        known = ", ".join(filter(None, (each["dtype"], each["device"], each["sha256"][:12])))
        models.append(f"{each['model']} ({known})" if known else each["model"] or "the default model")
    tokens = usage.get("prompt_tokens", 0) + usage.get("generated_tokens", 0)
    parts = [*models, f"{tokens:,} tokens", format_latency(usage.get("seconds", 0.0))]
    if usage.get("kept"):
        parts.append(f"{usage['kept']:,} kept answers")
    if usage.get("cost_micros"):
        parts.append(f"cost {usage['cost_micros'] / 1e6:.6f}")
    return ", ".join(parts) if usage else ""


def describe_hardware(hardware: Mapping[str, Any]) -> str:
    """``4 CPUs, 8.0 GiB, NVIDIA RTX 3090 24.0 GiB``."""
    parts = [f"{hardware.get('cpus', '?')} CPUs", format_size(int(hardware.get("memory_mib", 0)) << 20)]
    parts += [f"{gpu['name']} {format_size(gpu['memory_mib'] << 20)}" for gpu in hardware.get("gpus", ())]
    return ", ".join(parts)


def pick_pictures(artifacts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each run its largest picture: the chart or the drawing, not the favicon."""
    best: dict[str, dict[str, Any]] = {}
    for artifact in artifacts:
        run_id = artifact["run_id"]
        if run_id not in best or artifact["size"] > best[run_id]["size"]:
            best[run_id] = dict(artifact)
    return best


def cost_label(minor: int, currency: str) -> str:
    """The price in a sentence; "" for what costs nothing."""
    return format_money(minor, currency) if minor else ""
