"""Dividing a data set into what is shown, what selects, and what is kept back. Pure and seeded."""

from __future__ import annotations

from master.darwin.chance import source
from master.darwin.dataset import Row, Table
from tasks.darwin_genome import Corpus, Example, Split
from tasks.errors import InvalidInput

#: Shares of a file that leaves the division to us.
_HELD_OUT = 0.34
_SELECTION = 0.26
#: Fewer examples than this in a part say next to nothing about it.
_LEAST = 8


def divide(table: Table, seed: int) -> Corpus:
    """The corpus of a run: each label in the same proportion in every part, the same for a seed.

    Splits given in the file are obeyed: test is held out, dev selects, and train is the pool (and
    selects too, by a part of its own, where the file has no dev).
    """
    parts: dict[int, Split] = {}
    for label in table.labels:
        rows = [row for row in table.rows if row.label == label]
        source(seed, "divide", label).shuffle(rows)
        parts.update(_divide_label(rows, _has(table, "selection"), _has(table, "held_out")))
    examples = tuple(Example(input=row.input, expected=row.label, split=parts[row.line]) for row in table.rows)
    corpus = Corpus(labels=table.labels, examples=examples)
    _check(corpus, table.name)
    return corpus


def _has(table: Table, split: str) -> bool:
    return any(row.split == split for row in table.rows)


def _divide_label(rows: list[Row], selection_given: bool, held_out_given: bool) -> dict[int, Split]:
    parts: dict[int, Split] = {}
    free = [row for row in rows if row.split in ("", "train")]
    for row in rows:
        if row.split == "selection":
            parts[row.line] = "selection"
        elif row.split == "held_out":
            parts[row.line] = "held_out"
    held_out = 0 if held_out_given else max(1, round(len(free) * _HELD_OUT))
    share = _SELECTION / (1 - _HELD_OUT) if held_out_given else _SELECTION
    # At least one stays in the pool: a label that no demonstration can show is never learned.
    selection = 0 if selection_given else min(round(len(free) * share), max(0, len(free) - held_out - 1))
    for at, row in enumerate(free):
        part: Split = "pool"
        if at < held_out:
            part = "held_out"
        elif at < held_out + selection:
            part = "selection"
        parts[row.line] = part
    return parts


def _check(corpus: Corpus, name: str) -> None:
    parts: tuple[Split, ...] = ("pool", "selection", "held_out")
    for part in parts:
        if (size := len(corpus.ids(part))) < _LEAST:
            raise InvalidInput(
                f"{name}: its division leaves {size} examples for {part.replace('_', '-')} and at least "
                f"{_LEAST} are needed: add examples, or move some there with the field split "
                "(train, dev, test)"
            )


def draw(corpus: Corpus, split: Split, count: int, seed: int) -> tuple[int, ...]:
    """At most ``count`` ids of this part, labels taking turns, so that a small draw has them all."""
    rng = source(seed, "draw", split)
    by_label: dict[str, list[int]] = {label: [] for label in corpus.labels}
    for at in corpus.ids(split):
        by_label[corpus.examples[at].label].append(at)
    for ids in by_label.values():
        rng.shuffle(ids)
    drawn: list[int] = []
    while len(drawn) < count and any(by_label.values()):
        for ids in by_label.values():
            if ids and len(drawn) < count:
                drawn.append(ids.pop())
    return tuple(sorted(drawn))
