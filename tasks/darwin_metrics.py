"""How an answer becomes a score of 0..1, 1 being right: pure, and the same for master and workers.

An answer that is empty or no JSON is an answer, and a wrong one; only what was never answered has no
score. Two metrics need more than this module: "similarity" a sentence model, "own" the sandbox.

Sources: exact match and token F1 with their normalization: P. Rajpurkar et al., "SQuAD" (EMNLP 2016,
arXiv:1606.05250), section 6.1 and its official evaluation script; macro-F1 as the mean of the labels'
F1: C. D. Manning, P. Raghavan and H. Schütze, "Introduction to Information Retrieval" (2008), 13.6.
"""

from __future__ import annotations

import json
import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from tasks.darwin_genome import Corpus, Example, Kind
from tasks.python_execute import Limits
from tasks.record import Record

MetricName = Literal[
    "accuracy", "macro_f1", "exact_match", "token_f1", "similarity", "json_fields", "closeness", "own"
]

#: Per kind of task, the metrics that fit it; the first is taken where none is named.
METRICS: dict[Kind, tuple[MetricName, ...]] = {
    "classify": ("accuracy", "macro_f1", "own"),
    "extract": ("json_fields", "exact_match", "own"),
    "answer": ("token_f1", "exact_match", "similarity", "own"),
    "score": ("closeness", "exact_match", "own"),
}

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "¿¡«»“”‘’…")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][-+]?\d+)?")


class Metric(Record):
    """Which metric, and what it needs."""

    name: MetricName = "accuracy"
    #: "own" only: sha256 of the artifact with the Python source of ``metric(expected, answer)``.
    source: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    #: "own" only: its author is the owner, so it may run without Docker.
    trusted: bool = False
    #: "own" only, for a whole shard.
    limits: Limits = Limits()
    #: "similarity" only: reference of the sentence model; "" means the embedded one.
    embedding_model: str = Field(default="", max_length=300)

    @model_validator(mode="after")
    def _names_its_source(self) -> Metric:
        if (self.name == "own") != bool(self.source):
            raise ValueError("a source belongs to the metric 'own', and to it alone")
        return self


def score_answer(metric: MetricName, corpus: Corpus, example: Example, answer: str) -> float:
    """The score of one answer by one of the metrics that need nothing else."""
    if metric in ("accuracy", "macro_f1"):
        return float(answer == example.expected)
    if metric == "json_fields":
        return json_fields(corpus.json_schema, example.expected, answer)
    if metric == "closeness":
        return closeness(float(example.expected), answer, corpus.high - corpus.low)
    if metric == "token_f1":
        return max(token_f1(one, answer) for one in (example.expected, *example.also))
    if metric == "exact_match":
        return _exact(corpus.kind, example, answer)
    raise ValueError(f"the metric {metric!r} is not worked out here")


def _exact(kind: Kind, example: Example, answer: str) -> float:
    if kind == "score":
        found = number_in(answer)
        return float(found is not None and math.isclose(found, float(example.expected), rel_tol=1e-9))
    if kind == "extract":
        found_object = object_in(answer)
        return float(
            found_object is not None and _leaves(found_object) == _leaves(json.loads(example.expected))
        )
    return float(any(normalize(one) == normalize(answer) for one in (example.expected, *example.also)))


def normalize(text: str) -> str:
    """Lower case, no punctuation, no English articles, single spaces: SQuAD's normalization, with
    composed characters and the Spanish marks beside it."""
    bare = unicodedata.normalize("NFC", text).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def token_f1(expected: str, answer: str) -> float:
    """Harmonic mean of precision and recall of the words that both have."""
    wanted, given = normalize(expected).split(), normalize(answer).split()
    if not wanted or not given:
        return float(wanted == given)
    return _f1(Counter(wanted), Counter(given))


def _f1(wanted: Counter[Any], given: Counter[Any]) -> float:
    if not wanted.total() or not given.total():
        return float(wanted.total() == given.total())
    shared = (wanted & given).total()
    return 2 * shared / (wanted.total() + given.total())


def number_in(answer: str) -> float | None:
    """The first number in the answer; a comma may stand for the decimal point."""
    found = _NUMBER.search(answer)
    value = float(found.group().replace(",", ".")) if found else math.nan
    return value if math.isfinite(value) else None


def closeness(expected: float, answer: str, spread: float) -> float:
    """1 less the distance as a share of ``spread`` (greatest less least expected number); 0 beyond it
    and for an answer without a number."""
    found = number_in(answer)
    return 0.0 if found is None else max(0.0, 1.0 - abs(found - expected) / spread)


def object_in(answer: str) -> dict[str, Any] | None:
    """The JSON object in the answer, whatever stands around it; None if there is none."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        found = json.loads(answer[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def json_fields(json_schema: str, expected: str, answer: str) -> float:
    """Half for satisfying the schema (JSON Schema 2020-12), half for the F1 of the fields' values.

    A value counts where it stands under the same name; texts are compared normalized, the order of a
    list does not matter.
    """
    found = object_in(answer)
    if found is None:
        return 0.0
    fields = _f1(_leaves(json.loads(expected)), _leaves(found))
    return 0.5 * satisfies(json_schema, found) + 0.5 * fields


def satisfies(json_schema: str, value: Any) -> bool:
    """Whether the value is valid under the schema."""
    # Only here: a process that extracts nothing does without it.
    from jsonschema import Draft202012Validator

    return bool(Draft202012Validator(json.loads(json_schema)).is_valid(value))


def _leaves(value: Any, path: str = "") -> Counter[tuple[str, object]]:
    """Every value that is no object or list, with the names that lead to it."""
    if isinstance(value, dict):
        return _sum(_leaves(part, f"{path}/{name}") for name, part in value.items())
    if isinstance(value, list):
        return _sum(_leaves(part, f"{path}/*") for part in value)
    if isinstance(value, str):
        return Counter([(path, normalize(value))])
    # True is 1 to Python and not to JSON.
    return Counter([(path, repr(value) if isinstance(value, bool) or value is None else float(value))])


def _sum(parts: Iterable[Counter[tuple[str, object]]]) -> Counter[tuple[str, object]]:
    total: Counter[tuple[str, object]] = Counter()
    for part in parts:
        total.update(part)
    return total


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """Mean F1 of the labels, of (expected, answer); over the labels that are expected at least once.

    The exact figure of a whole set. It is no mean over examples, so selection and paired tests go by
    accuracy with each label counting alike.
    """
    expected, answered = Counter(one for one, _ in pairs), Counter(one for _, one in pairs)
    right = Counter(one for one, other in pairs if one == other)
    if not expected:
        raise ValueError("no example was answered: there is no macro-F1")
    f1 = (2 * right[label] / (count + answered[label]) for label, count in expected.items())
    return math.fsum(f1) / len(expected)


def similarity(first: Sequence[float], second: Sequence[float]) -> float:
    """Cosine of two vectors of unit length, as a score: opposite meanings are worth no less than none."""
    return min(1.0, max(0.0, math.fsum(a * b for a, b in zip(first, second, strict=True))))
