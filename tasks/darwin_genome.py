"""What evolves, and the examples it is judged on: the records that master and worker share.

A genome here describes an agent that is given a text and answers with a label, an object, a text or
a number. Its parts (*genes*) are small frozen records, so that an operator replaces one and leaves
the others, and so that two genomes are the same exactly when their digests are.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal, get_args

from pydantic import Field, model_validator

from tasks.record import Record

#: Most demonstrations that one prompt may carry, fixed and retrieved together.
MAX_DEMONSTRATIONS = 8
#: Neighbors listed per example in an index artifact: the most that a genome can retrieve.
MAX_RETRIEVED = 6

Split = Literal["pool", "selection", "held_out"]

#: What is asked for: "classify" a label, "extract" a JSON object, "answer" a text, "score" a number.
Kind = Literal["classify", "extract", "answer", "score"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: What stands before the question, in the order that a genome chooses.
Segment = Literal["role", "instruction", "format", "examples"]
SEGMENTS: tuple[Segment, ...] = get_args(Segment)


class Example(Record):
    """One input with what is expected of it. Its id is its position in the corpus."""

    input: str = Field(min_length=1, max_length=4000)
    #: The label; the object as compact JSON with sorted keys; the text; the number as written.
    expected: str = Field(min_length=1, max_length=4000)
    #: Other texts that are as right ("answer" only).
    also: tuple[str, ...] = Field(default=(), max_length=16)
    #: "pool": may be shown as a demonstration; "selection": ranks genomes; "held_out": touched
    #: once, after selection has ended.
    split: Split

    @property
    def label(self) -> str:
        """What is expected, where it is a label."""
        return self.expected


class Corpus(Record):
    """A data set as workers read it: an artifact, written once per run."""

    kind: Kind = "classify"
    #: "classify" only: at least two, sorted.
    labels: tuple[str, ...] = Field(default=(), max_length=64)
    #: "extract" only: the JSON Schema that an answer must satisfy, as JSON.
    json_schema: str = Field(default="", max_length=50_000)
    #: "score" only: the least and the greatest number that is expected anywhere.
    low: float = 0.0
    high: float = 0.0
    examples: tuple[Example, ...]

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Corpus:
        if self.kind == "classify" and len(self.labels) < 2:
            raise ValueError(f"labels are {self.labels} and classifying needs at least two")
        if self.kind == "extract" and not self.json_schema:
            raise ValueError("json_schema is empty: it says which fields an extracted object has")
        if self.kind == "score" and not self.low < self.high:
            raise ValueError(
                f"low is {self.low} and high {self.high}: numbers that do not differ rank nothing"
            )
        return self

    def ids(self, split: Split) -> tuple[int, ...]:
        """Ids of the examples in this part, ascending."""
        return tuple(at for at, example in enumerate(self.examples) if example.split == split)


class Index(Record):
    """An artifact beside the corpus: what resembles what."""

    #: Per example of the corpus, ids of the most similar pool examples, best first, itself excluded.
    neighbors: tuple[tuple[int, ...], ...]


class Layout(Record):
    """How an example is written down: ``before_input + input + before_label + label``."""

    before_input: str = Field(default="Message: ", max_length=100)
    before_label: str = Field(default="\nIntent:", min_length=1, max_length=100)
    between: str = Field(default="\n\n", min_length=1, max_length=20)

    @model_validator(mode="after")
    def _label_begins_its_own_token(self) -> Layout:
        if self.before_label.endswith(" "):
            raise ValueError(
                f"before_label {self.before_label!r} ends in a space: tokenizers join the space to the "
                "label's first token, so leave it out here"
            )
        return self


class Demonstrations(Record):
    """Which labeled examples the prompt shows before the question."""

    #: Pool ids shown to every question, in this order. Part of the shared prefix.
    fixed: tuple[int, ...] = ()
    #: So many of the question's nearest neighbors are added after them.
    retrieved: int = Field(default=0, ge=0, le=MAX_RETRIEVED)
    #: Where the nearest one stands: a model listens most to what it read last.
    order: Literal["nearest_last", "nearest_first"] = "nearest_last"

    @model_validator(mode="after")
    def _fits_in_a_prompt(self) -> Demonstrations:
        if len(set(self.fixed)) != len(self.fixed):
            raise ValueError(f"fixed demonstrations {self.fixed} name an example twice")
        if len(self.fixed) + self.retrieved > MAX_DEMONSTRATIONS:
            raise ValueError(
                f"{len(self.fixed)} fixed and {self.retrieved} retrieved demonstrations are more than "
                f"the {MAX_DEMONSTRATIONS} that a prompt may carry"
            )
        return self


class Scoring(Record):
    """How a label is chosen from the likelihoods of the label words."""

    #: Divide each word's log-probability by its number of tokens, so that long words can win.
    length_normalized: bool = True
    #: How much of the content-free prompt's score is taken away: 0 none, 1 all. Contextual
    #: calibration, Zhao et al. 2021, arXiv:2102.09690.
    calibration: float = Field(default=0.0, ge=0, le=1)
    #: Scores are divided by it before they become probabilities. Moves confidence, never the
    #: label. Guo et al. 2017, arXiv:1706.04599.
    temperature: float = Field(default=1.0, ge=0.05, le=10)


class Sampling(Record):
    """How a text is generated; labels are not generated but weighed."""

    #: 0 means greedy.
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=64, ge=1, le=2048)
    #: Hold the text to the task's grammar (the object's schema, a number) while it is generated.
    constrained: bool = True


class Genome(Record):
    """One candidate agent: ordered prompt segments, demonstrations, scoring and sampling."""

    role: str = Field(default="", max_length=1000)
    instruction: str = Field(default="", max_length=2000)
    #: What the answer must look like. Here and in the instruction ``{labels}``, ``{fields}``, ``{low}`` and
    #: ``{high}`` are replaced.
    format: str = Field(default="", max_length=1000)
    #: In which order these stand before the question; demonstrations are the "examples".
    order: tuple[Segment, ...] = SEGMENTS
    layout: Layout = Layout()
    #: "classify" only: what the model reads and is scored on, one word or phrase per label, in the
    #: corpus's order.
    label_words: tuple[str, ...] = Field(default=(), max_length=64)
    demonstrations: Demonstrations = Demonstrations()
    scoring: Scoring = Scoring()
    sampling: Sampling = Sampling()
    #: Wrap the prompt in the model's own chat template instead of plain text.
    chat: bool = False

    @model_validator(mode="after")
    def _every_segment_has_one_place(self) -> Genome:
        if sorted(self.order) != sorted(SEGMENTS):
            raise ValueError(f"order {self.order} must name each of {', '.join(SEGMENTS)} once")
        return self

    @model_validator(mode="after")
    def _label_words_tell_labels_apart(self) -> Genome:
        if any(not word.strip() or word != word.strip() or len(word) > 60 for word in self.label_words):
            raise ValueError(f"label words {self.label_words} must be 1-60 characters without outer spaces")
        if len(set(self.label_words)) != len(self.label_words):
            raise ValueError(f"label words {self.label_words} name two labels alike")
        return self


def digest(genome: Genome) -> str:
    """Sixteen hexadecimal digits that two genomes share only if they are equal."""
    text = json.dumps(genome.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
