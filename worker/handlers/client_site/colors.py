"""Colors: conversion through OKLCH, contrast, and a whole palette from two of them.

OKLCH and its matrices: https://bottosson.github.io/posts/oklab/ ; contrast: WCAG 2.2, 1.4.3.
"""

from __future__ import annotations

import dataclasses
import math

#: WCAG 2.2 AA for text of normal size.
TEXT_CONTRAST = 4.5
#: A little above, so that rounding to 8 bits never falls below.
_TARGET = 4.7


@dataclasses.dataclass(frozen=True)
class Scheme:
    """The colors of one mode, light or dark, as ``#rrggbb``."""

    background: str
    surface: str
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    tint: str


def luminance(color: str) -> float:
    """WCAG relative luminance of ``#rrggbb``, 0 to 1."""
    red, green, blue = (_linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio, 1 to 21."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def to_oklch(color: str) -> tuple[float, float, float]:
    """Lightness 0..1, chroma from 0, hue in radians."""
    r, g, b = (_linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5))
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    green_red = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    blue_yellow = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(green_red, blue_yellow), math.atan2(blue_yellow, green_red)


def from_oklch(lightness: float, chroma: float, hue: float) -> str:
    """``#rrggbb``; a color outside sRGB loses chroma until it fits."""
    channels = _rgb(lightness, chroma, hue)
    while chroma > 0.002 and not all(-0.0005 <= channel <= 1.0005 for channel in channels):
        chroma *= 0.94
        channels = _rgb(lightness, chroma, hue)
    return "#" + "".join(f"{round(_gamma(min(1.0, max(0.0, channel))) * 255):02x}" for channel in channels)


def light_scheme(accent: str, neutral: str) -> Scheme:
    """Paper tinted by ``neutral``; the accent darkened until text of and on it can be read."""
    _, tint, hue = to_oklch(neutral)
    tint = min(tint, 0.05)
    background = from_oklch(0.985, tint * 0.22, hue)
    surface = from_oklch(0.955, tint * 0.45, hue)
    lightness, chroma, accent_hue = to_oklch(accent)
    # Against the surface, too: it is the darker of the two that the accent stands on.
    readable = _move(min(lightness, 0.62), chroma, accent_hue, (background, surface, "#ffffff"), -0.01)
    return Scheme(
        background=background,
        surface=surface,
        line=from_oklch(0.885, tint * 0.6, hue),
        text=from_oklch(0.24, min(tint, 0.03), hue),
        muted=_move(0.5, min(tint, 0.03), hue, (background, surface), -0.01),
        accent=readable,
        on_accent="#ffffff",
        tint=from_oklch(0.93, min(chroma, 0.055), accent_hue),
    )


def dark_scheme(accent: str, neutral: str) -> Scheme:
    """Ink tinted by ``neutral``; the accent lightened until text of and on it can be read."""
    _, tint, hue = to_oklch(neutral)
    tint = min(tint, 0.04)
    background = from_oklch(0.185, tint * 0.45, hue)
    surface = from_oklch(0.235, tint * 0.5, hue)
    lightness, chroma, accent_hue = to_oklch(accent)
    readable = _move(max(lightness, 0.72), chroma * 0.85, accent_hue, (background, surface, "#16130f"), 0.01)
    return Scheme(
        background=background,
        surface=surface,
        line=from_oklch(0.34, tint * 0.6, hue),
        text=from_oklch(0.945, tint * 0.3, hue),
        muted=_move(0.72, tint * 0.5, hue, (background, surface), 0.01),
        accent=readable,
        on_accent="#16130f",
        tint=from_oklch(0.31, min(chroma, 0.05), accent_hue),
    )


def _move(lightness: float, chroma: float, hue: float, against: tuple[str, ...], by: float) -> str:
    """Darken or lighten until the contrast suffices against each of the other colors."""
    color = from_oklch(lightness, chroma, hue)
    while min(contrast(color, other) for other in against) < _TARGET and 0.02 < lightness < 0.98:
        lightness += by
        color = from_oklch(lightness, chroma, hue)
    return color


def _rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    return channel * 12.92 if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055
