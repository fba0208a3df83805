"""Texts that must obey a grammar: which tokens may come next, by llguidance."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import torch
from llguidance import JsonCompiler, LLMatcher
from llguidance.hf import from_tokenizer

from worker.models.outcomes import Rejected
from worker.models.protocol import Grammar


class Grammars:
    """Compiles grammars for one tokenizer.

    Args:
        tokenizer: a fast transformers tokenizer; any other can obey no grammar.
        ends: tokens that end a text.
    """

    def __init__(self, tokenizer: Any, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._lock = threading.Lock()
        #: Made when first wanted: it takes a second for a large vocabulary.
        self._made: Any = None

    def begin(self, grammar: Grammar) -> Matcher:
        """A new text's matcher. ``Rejected`` says what is wrong with the grammar."""
        tokenizer = self._get_tokenizer()
        try:
            text = _to_llguidance(grammar)
            matcher = LLMatcher(tokenizer, text, log_level=0)
        except (ValueError, TypeError) as error:
            raise Rejected(f"the {grammar.kind} grammar cannot be used: {str(error)[:500]}") from error
        if matcher.is_error():
            raise Rejected(f"the {grammar.kind} grammar cannot be used: {matcher.get_error()[:500]}")
        return Matcher(matcher, tokenizer.vocab_size)

    def _get_tokenizer(self) -> Any:
        with self._lock:
            if self._made is None:
                try:
                    self._made = from_tokenizer(self._tokenizer, eos_token=sorted(self._ends))
                except (ValueError, TypeError, AttributeError) as error:
                    raise Rejected(
                        f"this model's tokenizer ({type(self._tokenizer).__name__}) cannot be held to a "
                        f"grammar: {error}"
                    ) from error
            return self._made


class Matcher:
    """One text on its way through its grammar."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher = matcher
        self._bits = np.zeros((vocabulary + 31) // 32, dtype=np.int32)

    def forbid(self, logits: torch.Tensor) -> None:
        """Set what may not come next to minus infinity, in place. (vocabulary,)"""
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little").astype(bool)
        known = min(len(allowed), logits.shape[0])
        mask = torch.zeros(logits.shape[0], dtype=torch.bool)
        mask[:known] = torch.from_numpy(allowed[:known])
        logits.masked_fill_(~mask.to(logits.device), float("-inf"))

    def take(self, token: int) -> bool:
        """Go on by a token; whether the text is whole and can only end."""
        self._matcher.consume_token(token)
        return bool(self._matcher.is_stopped())


def _to_llguidance(grammar: Grammar) -> str:
    if grammar.kind == "json_schema":
        schema = json.loads(grammar.text)
        if not isinstance(schema, dict | bool):
            raise ValueError("a JSON schema is an object")
        # Without this a model may fill its whole allowance with spaces.
        return str(JsonCompiler(whitespace_flexible=False).compile(grammar.text))
    if grammar.kind == "regex":
        return str(LLMatcher.grammar_from_regex(grammar.text))
    choices = json.loads(grammar.text)
    if (
        not isinstance(choices, list)
        or not choices
        or not all(isinstance(one, str) and one for one in choices)
    ):
        raise ValueError("choices are a JSON list of texts that are not empty")
    listed = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    return str(LLMatcher.grammar_from_lark(f"start: {listed}"))
