"""Under which key an answer is kept: a digest of all that decides it. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from worker.models.protocol import GenerateItem, ScoreItem
from worker.models.wire import PROTOCOL

KindName = Literal["score", "generate", "embed"]

#: They say when and how a question is answered, not what the answer is.
_CIRCUMSTANCES = frozenset({"priority", "deadline_s", "fresh"})
#: They decide which of several likely tokens is drawn; the likeliest is the likeliest whatever they say.
_OF_CHANCE = frozenset({"seed", "top_p", "top_k"})

#: Files of a model's folder that say how texts become tokens and how weights are put together.
_READ_WITH_WEIGHTS = frozenset({".json", ".txt", ".model", ".jinja", ".bpe", ".tiktoken"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answerer:
    """What answers, as far as its answers depend on it."""

    #: Of the weights.
    sha256: str
    #: Of the files beside the weights; "" where the weights' file holds everything.
    beside: str
    dtype: str
    #: "cpu", or what kind of GPU: they round differently.
    device: str
    #: What computes: two engines draw other texts with the same weights and seed.
    engine: str
    #: The code that computes; "" where the answers do not leave this process.
    build: str


class Keys:
    """The keys of one answerer's answers."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = dataclasses.asdict(answerer)

    def of(self, kind: KindName, item: ScoreItem | GenerateItem | str) -> str:
        """64 hexadecimal digits. Texts stand for their tokens: the answerer's digests hold the tokenizer."""
        about = {"kind": kind, "protocol": PROTOCOL, "answerer": self._answerer, "item": _question(item)}
        canonical = json.dumps(about, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def beside_sha256(folder: Path) -> str:
    """Digest of the files beside a folder's weights.

    The digest of a model is that of its weights alone: with another tokenizer or configuration they
    answer otherwise. Encoders have further files one folder below (pooling, normalization).
    """
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.suffix in _READ_WITH_WEIGHTS and path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _question(item: ScoreItem | GenerateItem | str) -> Any:
    if isinstance(item, str):
        return item
    greedy = isinstance(item, GenerateItem) and item.temperature == 0
    left_out = _CIRCUMSTANCES | _OF_CHANCE if greedy else _CIRCUMSTANCES
    return item.model_dump(mode="json", exclude=set(left_out))
