"""Which requests transformers' batching may be given: what it could not do right, it never sees."""

from __future__ import annotations

import dataclasses

from worker.models.batching.size import CacheSize
from worker.models.native.plan import Tokens
from worker.models.native.text import Text
from worker.models.outcomes import Rejected
from worker.models.protocol import GenerateItem
from worker.models.reference import BATCHING_SCHEME


@dataclasses.dataclass(frozen=True)
class BatchTask:
    """One request as it is handed over."""

    prompt: Tokens
    item: GenerateItem
    #: The most tokens that it will get: ``max_new_tokens``, or less where the context ends before.
    limit: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """What one model's batching takes. A single wrong request would end its loop for all the others,
    so each is looked at here first."""

    #: The model's reference.
    model: str
    text: Text
    size: CacheSize
    #: Tokens have numbers below this.
    vocabulary: int

    def accepted(self, number: int, item: GenerateItem) -> BatchTask:
        """The request ready to be handed over. ``Rejected`` says what to use instead."""
        if item.temperature > 0 or item.top_k > 0 or item.top_p < 1:
            raise Rejected(
                f"item {number} to generate asks for temperature {item.temperature:g}, top_k {item.top_k} and "
                f"top_p {item.top_p:g}: transformers' batching has one seed and one sampling setting for all, "
                f"so {self.model} writes greedily only (temperature 0); name {plain_name(self.model)} instead"
            )
        if item.grammar.kind != "none":
            raise Rejected(
                f"item {number} to generate has a grammar ({item.grammar.kind}), which {self.model} cannot "
                f"follow: name {plain_name(self.model)} instead"
            )
        prompt = self.text.prompt(item.prompt)
        self.text.check_length(len(prompt) + 1, f"item {number} to generate (with its first new token)")
        self._check_vocabulary(number, prompt)
        limit = min(item.max_new_tokens, self.text.context_tokens - len(prompt))
        self._check_cache(number, len(prompt), limit)
        return BatchTask(prompt, item, limit)

    def _check_vocabulary(self, number: int, prompt: Tokens) -> None:
        largest = max(prompt)
        if largest >= self.vocabulary:
            raise Rejected(
                f"item {number} to generate contains the token {largest} and the model knows {self.vocabulary}: "
                "the tokenizer does not belong to these weights, or has tokens that were added to it alone"
            )

    def _check_cache(self, number: int, prompt_tokens: int, limit: int) -> None:
        needed = prompt_tokens + limit
        if needed > self.size.tokens:
            raise Rejected(
                f"item {number} to generate may grow to {needed} tokens (prompt {prompt_tokens}, new {limit}) "
                f"and the cache of {self.model} holds {self.size.tokens}: ask for fewer new tokens, raise "
                f"--model-memory-mib, or name {plain_name(self.model)} instead"
            )


def plain_name(model: str) -> str:
    """The same model as this server runs it itself."""
    return model.removeprefix(f"{BATCHING_SCHEME}:")
