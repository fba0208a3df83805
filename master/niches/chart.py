"""The opportunity map of a market as SVG: how much is searched against how contested it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from master.niches.ranking import Ranked

WIDTH, HEIGHT = 960, 620
LEFT, RIGHT, TOP, BOTTOM = 70, 50, 60, 60
#: Only so many bubbles get their name, the best ones; the rest have a tooltip.
NAMED = 10

_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2933}.t{font-size:18px;font-weight:600}
.m{fill:#52606d;font-size:12px}
.bg{fill:#fff}.grid{stroke:#e4e7eb}.bar{stroke:#627d98;stroke-width:1.5}
.b{fill:#2f80ed;fill-opacity:.55;stroke:#1c5fb8}
.best{fill:#0b8457;stroke:#075c3c}
@media (prefers-color-scheme:dark){text{fill:#e4e7eb}.m{fill:#9aa5b1}.bg{fill:#17202a}.grid{stroke:#2f3b47}
.bar{stroke:#9fb3c8}}
""".replace("\n", "")


def opportunity_map(title: str, ranked: Sequence[Ranked]) -> bytes:
    """Searches a month (logarithmic) to the right, competition upwards, so the best is at the lower
    right; the size of a bubble is its score, its bars are the intervals."""
    demands = [value for one in ranked for value in (one.niche.score.demand.low, one.niche.score.demand.high)]
    low = math.floor(math.log10(max(min(demands, default=10), 1)))
    high = max(math.ceil(math.log10(max(max(demands, default=100), 1))), low + 1)
    body = [*_axes(low, high)]
    for one in reversed(ranked):
        body.append(_bubble(one, low, high))
    body += _names(ranked, low, high)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style><rect class="bg" width="{WIDTH}" '
        f'height="{HEIGHT}"/>'
        f'<text class="t" x="{LEFT}" y="30">{escape(title)}</text>{"".join(body)}</svg>\n'
    ).encode()


def _x(searches: float, low: int, high: int) -> float:
    share = (math.log10(max(searches, 1)) - low) / (high - low)
    return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _y(competition: float) -> float:
    return HEIGHT - BOTTOM - competition * (HEIGHT - TOP - BOTTOM)


def _radius(one: Ranked) -> float:
    """The area, not the radius, tells the score."""
    return 25 * math.sqrt(max(one.niche.score.total.middle, 0) / 100)


def _axes(low: int, high: int) -> list[str]:
    parts = []
    for power in range(low, high + 1):
        x = _x(10**power, low, high)
        parts.append(f'<line class="grid" x1="{x:.0f}" x2="{x:.0f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="m" x="{x:.0f}" y="{HEIGHT - BOTTOM + 20}" '
            f'text-anchor="middle">{10**power:,}</text>'
        )
    for tenth in (0, 25, 50, 75, 100):
        y = _y(tenth / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.0f}" y2="{y:.0f}"/>')
        parts.append(f'<text class="m" x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{tenth}%</text>')
    parts.append(
        f'<text class="m" x="{WIDTH - RIGHT}" y="{HEIGHT - 16}" text-anchor="end">searches a month</text>'
    )
    parts.append(f'<text class="m" x="{LEFT}" y="{TOP - 12}">competition of advertisers</text>')
    return parts


def _bubble(one: Ranked, low: int, high: int) -> str:
    score = one.niche.score
    x, y = _x(score.demand.middle, low, high), _y(score.competition.middle)
    radius = _radius(one)
    best = " best" if one.rank == 1 else ""
    total = score.total
    tip = f"{one.rank_text}. {one.niche.label}: {total.middle:.0f} ({total.low:.0f}-{total.high:.0f})"
    left, right = _x(score.demand.low, low, high), _x(score.demand.high, low, high)
    return (
        f'<g><title>{escape(tip)}</title><circle class="b{best}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        f'<line class="bar" x1="{left:.1f}" x2="{right:.1f}" '
        f'y1="{y:.1f}" y2="{y:.1f}"/><line class="bar" x1="{x:.1f}" x2="{x:.1f}" '
        f'y1="{_y(score.competition.low):.1f}" y2="{_y(score.competition.high):.1f}"/></g>'
    )


def _names(ranked: Sequence[Ranked], low: int, high: int) -> list[str]:
    """Names of the best, each moved down until it overlaps no other."""
    taken: list[tuple[float, float, float]] = []
    parts = []
    for one in ranked[:NAMED]:
        score = one.niche.score
        text = f"{one.rank}. {one.niche.label[:34]}"
        width = 7.2 * len(text)
        x = min(_x(score.demand.middle, low, high) + _radius(one) + 4, WIDTH - 4 - width)
        y = _y(score.competition.middle) + 4
        while any(abs(y - other) < 15 and x < end and start < x + width for start, end, other in taken):
            y += 15
        taken.append((x, x + width, y))
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>')
    return parts
