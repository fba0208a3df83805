"""Logo, favicon and hero picture as SVG, drawn from the look: no text but the business's initials."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from html import escape

from tasks.client_look import Look, Motif, Shape, Typeface
from worker.handlers.client_site.colors import Scheme, dark_scheme, light_scheme

WIDTH, HEIGHT = 720, 640
_FONTS = {
    Typeface.CLASSIC: "Georgia, 'Times New Roman', serif",
    Typeface.CLEAN: "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
    Typeface.ROUNDED: "ui-rounded, 'Nunito', 'Segoe UI', system-ui, sans-serif",
}
_SMALL_WORDS = frozenset("el la los las de del y e the and of a".split())


def initials(name: str) -> str:
    """One or two capital letters (or digits) that stand for the name."""
    words = [word for word in re.findall(r"[^\W_]+", name) if word.casefold() not in _SMALL_WORDS]
    words = words or re.findall(r"[^\W_]+", name) or [name]
    # A first word such as "Panadería" says the trade; two letters keep both.
    return "".join(word[0] for word in words[:2]).upper()


def draw_logo(name: str, look: Look) -> str:
    """A square mark, 96 by 96."""
    radius = 30 if look.shape == Shape.SOFT else 10
    letters = initials(name)
    size = 44 if len(letters) == 1 else 36
    body = (
        f'<rect width="96" height="96" rx="{radius}" class="accent"/>'
        f'<path d="M0 70 Q24 58 48 70 T96 70 V{96 - radius} Q96 96 {96 - radius} 96 H{radius} '
        f'Q0 96 0 {96 - radius} Z" class="on" opacity=".16"/>'
        f'<text x="48" y="{49 + size * 0.33:.0f}" text-anchor="middle" class="on" font-size="{size}" '
        f'font-weight="700" letter-spacing="-1" font-family="{_FONTS[look.typeface]}">'
        f"{escape(letters)}</text>"
    )
    return _svg(96, 96, body, look)


def draw_favicon(name: str, look: Look) -> str:
    """The logo with one letter, legible at 16 pixels."""
    letter = escape(initials(name)[:1])
    radius = 20 if look.shape == Shape.SOFT else 8
    body = (
        f'<rect width="64" height="64" rx="{radius}" class="accent"/>'
        f'<text x="32" y="47" text-anchor="middle" class="on" font-size="42" font-weight="700" '
        f'font-family="{_FONTS[look.typeface]}">{letter}</text>'
    )
    return _svg(64, 64, body, look)


def draw_hero(look: Look, seed: int) -> str:
    """An abstract picture, 720 by 640; the same seed gives the same one."""
    radius = 36 if look.shape == Shape.SOFT else 6
    body = (
        f'<clipPath id="frame"><rect width="{WIDTH}" height="{HEIGHT}" rx="{radius}"/></clipPath>'
        f'<g clip-path="url(#frame)"><rect width="{WIDTH}" height="{HEIGHT}" class="tint"/>'
        f"{_MOTIFS[look.motif](random.Random(seed))}</g>"
    )
    return _svg(WIDTH, HEIGHT, body, look)


def _svg(width: int, height: int, body: str, look: Look) -> str:
    light, dark = light_scheme(look.accent, look.neutral), dark_scheme(look.accent, look.neutral)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}"><style>{_rules(light)}'
        f"@media (prefers-color-scheme: dark){{{_rules(dark)}}}</style>"
        f"{body}</svg>\n"
    )


def _rules(scheme: Scheme) -> str:
    return (
        f".accent{{fill:{scheme.accent}}}.on{{fill:{scheme.on_accent}}}.tint{{fill:{scheme.tint}}}"
        f".paper{{fill:{scheme.background}}}.soft{{fill:{scheme.line}}}"
        f".stroke{{fill:none;stroke:{scheme.accent}}}"
    )


def _grain(rng: random.Random) -> str:
    """Ears of wheat that lean in the wind before a low sun."""
    parts = ['<circle cx="500" cy="215" r="132" class="paper" opacity=".85"/>']
    for index in range(9):
        foot = 30 + index * 84 + rng.uniform(-14, 14)
        lean, height = rng.uniform(22, 70), rng.uniform(300, 455)
        top = HEIGHT - height
        tone = "accent" if index % 3 != 1 else "soft"
        parts.append(
            f'<path d="M{foot:.0f} {HEIGHT} Q{foot + lean * 0.2:.0f} {HEIGHT - height * 0.5:.0f} '
            f'{foot + lean:.0f} {top:.0f}" class="stroke" stroke-width="4" opacity=".55"/>'
        )
        for grain in range(7):
            along = grain * 23
            x, y = foot + lean - lean * 0.0011 * along * 2, top + along
            for side in (-1, 1):
                parts.append(
                    f'<ellipse cx="{x + side * 14:.0f}" cy="{y:.0f}" rx="8.5" ry="20" class="{tone}" '
                    f'transform="rotate({side * 32 + lean * 0.15:.0f} {x + side * 14:.0f} {y:.0f})"/>'
                )
        parts.append(f'<ellipse cx="{foot + lean:.0f}" cy="{top - 22:.0f}" rx="8" ry="21" class="{tone}"/>')
    return "".join(parts)


def _arches(rng: random.Random) -> str:
    """Doorways within doorways, as in a row of old houses."""
    parts = [f'<circle cx="{rng.randint(480, 600)}" cy="{rng.randint(110, 170)}" r="74" class="paper"/>']
    for left, width, usual in ((40, 270, 430), (350, 330, 350)):
        height = usual + rng.randint(-25, 25)
        for ring, tone in enumerate(("accent", "paper", "soft", "accent")):
            inset = ring * 34
            half = width / 2 - inset
            top = HEIGHT - height + inset + half
            parts.append(
                f'<path d="M{left + inset} {HEIGHT} V{top:.0f} A{half:.0f} {half:.0f} 0 0 1 '
                f'{left + width - inset} {top:.0f} V{HEIGHT} Z" class="{tone}"/>'
            )
    return "".join(parts)


def _waves(rng: random.Random) -> str:
    """Bands of hills or water under a disc."""
    parts = [f'<circle cx="{rng.randint(430, 560)}" cy="210" r="112" class="paper"/>']
    for band, (tone, opacity) in enumerate(
        (("soft", 1.0), ("accent", 0.45), ("accent", 0.7), ("accent", 1.0))
    ):
        level, swing, shift = 290 + band * 88, rng.uniform(24, 46), rng.uniform(0, math.tau)
        points = " L".join(
            f"{x} {level + swing * math.sin(x / 115 + shift):.0f}" for x in range(0, WIDTH + 1, 24)
        )
        parts.append(
            f'<path d="M0 {HEIGHT} L{points} L{WIDTH} {HEIGHT} Z" class="{tone}" opacity="{opacity}"/>'
        )
    return "".join(parts)


def _leaves(rng: random.Random) -> str:
    """Two sprigs, leaf by leaf."""
    parts = ['<circle cx="380" cy="320" r="205" class="paper" opacity=".8"/>']
    for foot, lean in ((250, 85), (470, -60)):
        parts.append(
            f'<path d="M{foot} {HEIGHT} Q{foot} 350 {foot + lean} 90" class="stroke" stroke-width="6"/>'
        )
        for index in range(7):
            t = 0.14 + index * 0.13
            x = (1 - t) ** 2 * foot + 2 * t * (1 - t) * foot + t * t * (foot + lean)
            y = (1 - t) ** 2 * HEIGHT + 2 * t * (1 - t) * 350 + t * t * 90
            length = 148 - index * 12 + rng.uniform(-8, 8)
            for side in (-1, 1):
                tone = "accent" if (index + (side > 0)) % 2 else "soft"
                parts.append(
                    f'<path d="M0 0 Q{length * 0.45:.0f} {-length * 0.38:.0f} {length:.0f} 0 '
                    f'Q{length * 0.45:.0f} {length * 0.38:.0f} 0 0 Z" class="{tone}" transform="translate'
                    f'({x:.0f} {y:.0f}) rotate({-38 if side > 0 else 218})"/>'
                )
    return "".join(parts)


def _tiles(rng: random.Random) -> str:
    """Tiles of quarter circles, each turned at random."""
    parts, size = [], 120
    for row in range(math.ceil(HEIGHT / size)):
        for column in range(WIDTH // size):
            x, y, turn = column * size, row * size, rng.choice((0, 90, 180, 270))
            ground, figure = rng.choice(
                (
                    ("tint", "accent"),
                    ("paper", "accent"),
                    ("accent", "paper"),
                    ("soft", "paper"),
                    ("tint", "soft"),
                )
            )
            parts.append(
                f'<g transform="translate({x} {y}) rotate({turn} {size // 2} {size // 2})">'
                f'<rect width="{size}" height="{size}" class="{ground}"/>'
                f'<path d="M0 0 H{size} A{size} {size} 0 0 1 0 {size} Z" class="{figure}"/></g>'
            )
    return "".join(parts)


def _orbits(rng: random.Random) -> str:
    """Rings about a center, with their moons."""
    cx, cy = 380, 330
    parts = [
        f'<circle cx="{cx}" cy="{cy}" r="92" class="accent"/>',
        f'<circle cx="{cx - 26}" cy="{cy - 26}" r="40" class="paper" opacity=".25"/>',
    ]
    for ring in range(5):
        radius = 150 + ring * 66
        parts.append(
            f'<circle cx="{cx}" cy="{cy}" r="{radius}" class="stroke" stroke-width="3" opacity=".4"/>'
        )
        for _ in range(2):
            angle, size = rng.uniform(0, math.tau), rng.uniform(10, 27)
            tone = rng.choice(("accent", "paper", "soft"))
            parts.append(
                f'<circle cx="{cx + radius * math.cos(angle):.0f}" cy="{cy + radius * math.sin(angle):.0f}" '
                f'r="{size:.0f}" class="{tone}"/>'
            )
    return "".join(parts)


_MOTIFS: dict[Motif, Callable[[random.Random], str]] = {
    Motif.GRAIN: _grain,
    Motif.ARCHES: _arches,
    Motif.WAVES: _waves,
    Motif.LEAVES: _leaves,
    Motif.TILES: _tiles,
    Motif.ORBITS: _orbits,
}
