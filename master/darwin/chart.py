"""Evolution as pictures that are read without scripts, in light and dark: SVG, made here. Pure.

Colors are told apart by people who do not see red and green alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from master.darwin.reading import Point

_WIDTH, _HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 860, 44, 250
_BEST, _TRIAL = "#0b8f66", "#8a8f98"
_STYLE = (
    "<style>.evo-ink{fill:#222}.evo-paper{fill:#fff}.evo-line{stroke:#8884}"
    "@media(prefers-color-scheme:dark){.evo-ink{fill:#ddd}.evo-paper{fill:#15181c}}</style>"
)
#: A picture with more dots than this says no more.
_DOTS = 800


def fitness_chart(title: str, points: Sequence[Point]) -> str:
    """Score of every trial, and of the best, over evaluations: a file of its own, with its style in it."""
    scored = [one for one in points if one.score is not None]
    values = [one.score for one in scored if one.score is not None]
    values += [one.best for one in points if one.best is not None]
    low, high = _bounds(values)
    last = max((one.told for one in points), default=0)
    summary = (
        f"{len(points)} evaluations; the best scores {points[-1].best:.4g}."
        if points and points[-1].best is not None
        else "Nothing was evaluated yet."
    )
    parts = [*_frame(title, summary), *_grid(low, high, last)]
    step = max(1, -(-len(scored) // _DOTS))
    for one in scored[::step]:
        x, y = _x(one.told, last), _y(one.score or 0.0, low, high)
        parts.append(f'<circle class="evo-trial" cx="{x}" cy="{y}" r="2.5" fill="{_TRIAL}" opacity="0.6"/>')
    line = _steps(points, low, high, last)
    if line:
        parts.append(f'<path class="evo-best" d="{line}" fill="none" stroke="{_BEST}" stroke-width="2.5"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if low >= 0 and high <= 1 and high - low > 0.2:
        return 0.0, 1.0
    room = (high - low) * 0.08 or max(0.5, abs(high) * 0.1)
    return low - room, high + room


def _y(value: float, low: float, high: float) -> float:
    return round(_BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP), 1)


def _x(told: int, last: int) -> float:
    return round(_LEFT + told / max(1, last) * (_RIGHT - _LEFT), 1)


def _steps(points: Sequence[Point], low: float, high: float, last: int) -> str:
    """The best's line: level until there is a better one."""
    path = ""
    before: float | None = None
    for one in points:
        if one.best is None or one.best == before:
            continue
        x, y = _x(one.told, last), _y(one.best, low, high)
        path += f"M{x} {y}" if before is None else f"H{x}V{y}"
        before = one.best
    return f"{path}H{_x(last, last)}" if path else ""


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 12) -> str:
    return f'<text class="evo-ink" x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _frame(title: str, summary: str) -> list[str]:
    shown = "".join(character for character in title if character.isprintable())[:60]
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="evo" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="system-ui, sans-serif" role="img">',
        f"<title>{escape(shown)}</title>",
        f"<desc>{escape(summary)}</desc>",
        _STYLE,
        f'<rect class="evo-paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        _text(_LEFT, 24, shown, anchor="start", size=16),
    ]


def _grid(low: float, high: float, last: int) -> list[str]:
    lines = []
    for quarter in range(5):
        value = low + (high - low) * quarter / 4
        y = _y(value, low, high)
        lines.append(
            f'<line class="evo-line" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}" stroke="#88888844"/>'
        )
        lines.append(_text(_LEFT - 8, y + 4, f"{value:.3g}", anchor="end"))
    step = max(1, last // 8)
    lines += [_text(_x(at, last), _BOTTOM + 18, str(at)) for at in range(0, last + 1, step)]
    lines.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, "evaluations"))
    return lines
