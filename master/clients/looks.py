"""The palettes, typefaces and shapes that the designer chooses from."""

from __future__ import annotations

import dataclasses

from tasks.client_brief import Brief, Tone
from tasks.client_choose import DecisionPoint, Option
from tasks.client_look import Look, Motif, Shape, Typeface

BRAND = "brand"


@dataclasses.dataclass(frozen=True)
class Palette:
    mood: str
    accent: str
    neutral: str


PALETTES = {
    "terracotta": Palette("warm terracotta and cream, like clay and fresh bread", "#b4532a", "#c9a27a"),
    "olive": Palette("olive green and straw, natural and calm", "#66732a", "#b8ab7c"),
    "sea": Palette("deep sea blue and salt white, clear and trustworthy", "#1b6a93", "#8fa9b8"),
    "wine": Palette("dark wine red and rose, elegant and intimate", "#8c2f4b", "#c09a9f"),
    "forest": Palette("forest green and moss, healthy and quiet", "#2f6f4f", "#94a996"),
    "indigo": Palette("indigo and cool gray, modern and precise", "#4b4fc4", "#9a9cb8"),
    "saffron": Palette("saffron yellow and warm gray, cheerful and bright", "#b87a0a", "#c2b28a"),
}
_TYPEFACES = {
    Typeface.CLASSIC: "classic book letters with serifs",
    Typeface.CLEAN: "clean modern letters without serifs",
    Typeface.ROUNDED: "round friendly letters",
}
_SHAPES = {Shape.SOFT: "soft round corners", Shape.CRISP: "crisp straight corners"}
#: Typefaces that suit each tone; the model decides among these.
_SUITABLE = {
    Tone.WARM: (Typeface.CLASSIC, Typeface.ROUNDED),
    Tone.PROFESSIONAL: (Typeface.CLEAN, Typeface.CLASSIC),
    Tone.PLAYFUL: (Typeface.ROUNDED, Typeface.CLEAN),
    Tone.ELEGANT: (Typeface.CLASSIC,),
}


def look_decisions(brief: Brief, avoid: dict[str, tuple[str, ...]]) -> tuple[DecisionPoint, ...]:
    """Palette, typeface and shape, without what was rejected before (as long as something is left)."""
    moods = {label: palette.mood for label, palette in PALETTES.items()}
    if brief.colors and BRAND not in avoid.get("palette", ()):
        # The client's own colors are a fact of the brief, not a matter of taste.
        moods = {BRAND: "the client's own colors"}
    faces = {face.value: _TYPEFACES[face] for face in _SUITABLE[brief.tone]}
    if avoid.get("typeface"):
        faces = {face.value: text for face, text in _TYPEFACES.items()}
    shapes = {shape.value: text for shape, text in _SHAPES.items()}
    return (
        _point("palette", "The colors that suit this business are", moods, avoid),
        _point("typeface", "The lettering that suits this business is", faces, avoid),
        _point("shape", "The style of its buttons and cards is", shapes, avoid),
    )


def assemble_look(labels: dict[str, str], motif: Motif, brief: Brief) -> Look:
    """The look that was decided on."""
    if labels["palette"] == BRAND:
        accent, neutral = brief.colors[0], brief.colors[1] if len(brief.colors) > 1 else brief.colors[0]
    else:
        palette = PALETTES[labels["palette"]]
        accent, neutral = palette.accent, palette.neutral
    return Look(
        palette=labels["palette"],
        accent=accent,
        neutral=neutral,
        typeface=Typeface(labels["typeface"]),
        shape=Shape(labels["shape"]),
        motif=motif,
    )


def _point(
    name: str, question: str, options: dict[str, str], avoid: dict[str, tuple[str, ...]]
) -> DecisionPoint:
    left = {label: text for label, text in options.items() if label not in avoid.get(name, ())} or options
    return DecisionPoint(
        name=name,
        question=question + ":",
        options=tuple(Option(label=label, text=text) for label, text in left.items()),
    )
