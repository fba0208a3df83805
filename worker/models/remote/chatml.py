"""Chat turns as one text (ChatML) and back, for models whose own template is out of reach."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>\n|\Z)", re.DOTALL)
_MARK = re.compile(r"<\|(im_start|im_end)\|>")


def write_chat(messages: Sequence[tuple[str, str]]) -> str:
    """(role, text) pairs as one prompt that ends where the assistant begins.

    Marks inside a text are broken up, so that no text can pose as a turn.
    """
    turns = [f"<|im_start|>{role}\n{_broken_up(text)}<|im_end|>\n" for role, text in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def read_chat(prompt: str) -> list[dict[str, str]]:
    """The messages of a prompt from ``write_chat``; what follows it begins the assistant's answer.

    Any other prompt is one user message.
    """
    if not prompt.startswith("<|im_start|>"):
        return [{"role": "user", "content": prompt}]
    turns = [{"role": role, "content": text} for role, text in _TURN.findall(prompt)]
    if turns and turns[-1]["role"] == "assistant" and not turns[-1]["content"].strip():
        turns.pop()
    return turns


def is_chat(prompt: str) -> bool:
    """Whether the prompt is from ``write_chat``."""
    return prompt.startswith("<|im_start|>")


def _broken_up(text: str) -> str:
    return _MARK.sub(r"< |\1| >", text)
