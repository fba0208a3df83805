"""The run as one picture: accuracy by generation on the left, the held-out comparison on the right. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from master.darwin.report import Facts
from master.darwin.selection import Evaluation
from master.darwin.statistics import wilson

_WIDTH, _HEIGHT = 900, 380
_TOP, _BOTTOM = 64, 320
_LEFT, _MIDDLE = 56, 560
_BARS = (680, 800)
#: Told apart by people who do not see red and green alike, and by dashes.
_SERIES = (("best", "#0b6e4f", ""), ("mean", "#d98200", "6 4"), ("worst", "#8a8a8a", "2 4"))
_INK = "#222222"


def fitness_chart(facts: Facts) -> str:
    """An SVG document; accuracy runs from 0 at the bottom to 1 at the top."""
    generations = facts.history.generations
    accuracies = [one.accuracies for one in generations]
    values = {
        "best": [max(one) for one in accuracies],
        "mean": [sum(one) / len(one) for one in accuracies],
        "worst": [min(one) for one in accuracies],
    }
    parts = [
        *_frame(facts),
        *_grid(len(generations)),
        *(part for name, color, dash in _SERIES for part in _series(name, values[name], color, dash)),
        *_bar(_BARS[0], "best seed", facts.held_out.seed, "#8a8a8a"),
        *_bar(_BARS[1], "best genome", facts.held_out.best, "#0b6e4f"),
        _majority_line(facts.majority),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _y(accuracy: float) -> float:
    return round(_BOTTOM - accuracy * (_BOTTOM - _TOP), 1)


def _x(number: int, count: int) -> float:
    return round(_LEFT + 20 + (_MIDDLE - _LEFT - 90) * number / max(1, count - 1), 1)


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 13, color: str = _INK) -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{color}"'
    return f"<text {place}>{escape(text)}</text>"


def _frame(facts: Facts) -> list[str]:
    best, seed = facts.held_out.best, facts.held_out.seed
    summary = f"Held-out examples: best seed {seed.accuracy:.0%} right, best genome {best.accuracy:.0%}."
    # Another renderer's XML parser must accept it whatever the owner's file was called.
    title = "".join(character for character in facts.name if character.isprintable())[:60]
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="system-ui, sans-serif" role="img">',
        f"<title>{escape(f'Evolution of {title}')}</title>",
        f"<desc>{escape(summary)}</desc>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 30, f"Evolution of {title}", anchor="start", size=17),
        _text(_LEFT, 50, "accuracy on selection examples", anchor="start", size=12),
        _text(
            _BARS[0] - 50,
            50,
            f"{len(best.outcomes)} held-out examples, 95% interval",
            anchor="start",
            size=12,
        ),
    ]


def _grid(count: int) -> list[str]:
    lines = []
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent / 100)
        for left, right in ((_LEFT, _MIDDLE - 40), (_BARS[0] - 50, _BARS[1] + 60)):
            lines.append(f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        lines.append(_text(_LEFT - 8, y + 4, f"{percent}%", anchor="end", size=12))
    # At most about a dozen numbers fit below the axis.
    step = max(1, (count + 11) // 12)
    lines.extend(_text(_x(at, count), _BOTTOM + 20, str(at), size=12) for at in range(0, count, step))
    lines.append(_text((_LEFT + _MIDDLE - 40) / 2, _BOTTOM + 42, "generation (0: seeds)", size=12))
    return lines


def _series(name: str, values: Sequence[float], color: str, dash: str) -> list[str]:
    points = [(_x(at, len(values)), _y(value)) for at, value in enumerate(values)]
    path = " ".join(f"{x},{y}" for x, y in points)
    last_x, last_y = points[-1]
    return [
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{color}"/>' for x, y in points),
        _text(last_x + 10, last_y + 4, f"{name} {values[-1]:.0%}", anchor="start", size=12, color=color),
    ]


def _bar(middle: float, name: str, evaluation: Evaluation, color: str) -> list[str]:
    interval = wilson(evaluation.right, len(evaluation.outcomes))
    top = _y(evaluation.accuracy)
    low, high = _y(interval.low), _y(interval.high)
    return [
        f'<rect x="{middle - 32}" y="{top}" width="64" height="{round(_BOTTOM - top, 1)}" '
        f'fill="{color}" opacity="0.75"/>',
        f'<path d="M{middle} {low}V{high}M{middle - 8} {low}h16M{middle - 8} {high}h16" '
        f'stroke="{_INK}" fill="none"/>',
        _text(middle, high - 8, f"{evaluation.accuracy:.0%}", size=14),
        _text(middle, _BOTTOM + 20, name, size=12),
    ]


def _majority_line(majority: float) -> str:
    y = _y(majority)
    line = (
        f'<line x1="{_BARS[0] - 50}" x2="{_BARS[1] + 60}" y1="{y}" y2="{y}" '
        'stroke="#b00020" stroke-dasharray="4 4"/>'
    )
    return line + _text(
        _BARS[1] + 60,
        _BOTTOM + 42,
        "dashed: always the most common label",
        anchor="end",
        size=12,
        color="#b00020",
    )
