"""Between text and tokens, for one model; safe to call from many threads."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

from tasks.errors import PermanentFailure
from worker.models.native.plan import Tokens

#: So much of a prompt's end decides how a continuation is cut into tokens.
_ANCHOR_CHARACTERS = 16


class Text:
    """A model's tokenizer with the rules of this server.

    Args:
        tokenizer: a transformers tokenizer.
        context_tokens: the most tokens that the model can attend to.
    """

    def __init__(self, tokenizer: Any, context_tokens: int) -> None:
        self.tokenizer = tokenizer
        self._lock = threading.Lock()
        self.context_tokens = context_tokens
        self._continuation = functools.lru_cache(maxsize=65_536)(self._cut_continuation)

    def prompt(self, text: str) -> Tokens:
        """Tokens of a prompt, begun as the model was trained (with its BOS token, if it has one, once)."""
        tokens = self._encode(text, special=True)
        start = self.tokenizer.bos_token_id
        if start is not None and tokens[:2] == (start, start):
            tokens = tokens[1:]
        if tokens:
            return tokens
        opening = start if start is not None else self.tokenizer.eos_token_id
        if opening is None:
            raise PermanentFailure("the prompt is empty and this model has no token that begins a text")
        return (int(opening),)

    def continuation(self, prompt: str, choice: str) -> Tokens:
        """Tokens of ``choice`` as they follow the end of ``prompt``; the prompt's tokens stay as they are."""
        tokens = self._continuation(prompt[-_ANCHOR_CHARACTERS:], choice)
        if not tokens:
            raise PermanentFailure(f"the choice {choice!r} has no tokens, so it has no likelihood")
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        with self._lock:
            return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        """The model's chat template over (role, text) pairs, ready for the assistant's turn."""
        if not self.tokenizer.chat_template:
            raise PermanentFailure(
                "this model has no chat template: use an instruction-tuned model, or write the prompt whole"
            )
        pairs = [{"role": role, "content": text} for role, text in messages]
        with self._lock:
            try:
                return str(
                    self.tokenizer.apply_chat_template(pairs, tokenize=False, add_generation_prompt=True)
                )
            except Exception as error:
                raise PermanentFailure(
                    f"the model's chat template refuses these roles "
                    f"({', '.join(role for role, _ in messages)}): {error}"
                ) from error

    def check_length(self, tokens: int, what: str) -> None:
        """``PermanentFailure`` when so many tokens do not fit into the model's context."""
        if tokens > self.context_tokens:
            raise PermanentFailure(
                f"{what} has {tokens} tokens and the model's context {self.context_tokens}: shorten the "
                "prompt or use a model with a longer context"
            )

    def ends(self) -> frozenset[int]:
        """Tokens that end a text by the tokenizer's own account."""
        end = self.tokenizer.eos_token_id
        return frozenset() if end is None else frozenset([int(end)])

    def _encode(self, text: str, *, special: bool) -> Tokens:
        with self._lock:
            return tuple(self.tokenizer(text, add_special_tokens=special)["input_ids"])

    def _cut_continuation(self, anchor: str, choice: str) -> Tokens:
        before = self._encode(anchor, special=False)
        whole = self._encode(anchor + choice, special=False)
        if whole[: len(before)] == before:
            return whole[len(before) :]
        return self._encode(choice, special=False)


def generation_ends(model: Any) -> frozenset[int]:
    """Tokens that end a text by the account of a transformers model."""
    config = getattr(model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    if ends is None:
        return frozenset()
    return frozenset([ends] if isinstance(ends, int) else ends)
