"""Cutting texts without cutting words."""

from __future__ import annotations

import re


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters: whole sentences if they fill half of it, else whole words and "…"."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    sentences = ""
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        if len(sentences) + len(sentence) + 1 > limit:
            break
        sentences = f"{sentences} {sentence}".strip()
    if len(sentences) >= limit // 2:
        return sentences
    words = text[: limit - 1].rsplit(" ", 1)[0]
    return words.rstrip(" ,;:.·-") + "…"


def paragraphs(text: str) -> list[str]:
    """Blank lines separate paragraphs; other line ends are spaces."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def start_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
