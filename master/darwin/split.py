"""Dividing a data set into what is shown, what selects, and what is kept back. Pure and seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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
    """The corpus of a run: each label in the same proportion in every part. Which part an example falls
    into depends on the seed and on the examples, not on the order of the lines.

    Splits given in the file are obeyed: test is held out, dev selects, and train is the pool (and
    selects too, by a part of its own, where the file has no dev).
    """
    parts: dict[int, Split] = {}
    for label in table.labels or ("",):
        rows = [row for row in table.rows if not label or row.expected == label]
        rows.sort(key=lambda row: _content(row.input))
        source(seed, "divide", label).shuffle(rows)
        parts.update(_divide_label(rows, _has(table, "selection"), _has(table, "held_out")))
    corpus = Corpus(
        kind=table.kind,
        labels=table.labels,
        json_schema=table.json_schema,
        low=table.low,
        high=table.high,
        examples=tuple(
            Example(input=row.input, expected=row.expected, also=row.also, split=parts[row.line])
            for row in table.rows
        ),
    )
    _check(corpus, table.name)
    return corpus


def _content(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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
    """At most ``count`` ids of this part, ascending, labels taking turns, so that a small draw has them all."""
    return tuple(sorted(_ordered(corpus, corpus.ids(split), seed, "draw", split, turns=True)[:count]))


def blocks(corpus: Corpus, ids: Sequence[int], size: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """The ids in blocks of ``size``, on which genomes are raced: each label in every block as often as in
    every other. What does not fill a block is left out, for a small block would count as much as a
    large one."""
    if size < 1 or size > len(ids):
        raise ValueError(f"blocks of {size} cannot be made of {len(ids)} examples")
    ordered = _ordered(corpus, ids, seed, "blocks")
    return tuple(tuple(ordered[at : at + size]) for at in range(0, len(ordered) - size + 1, size))


def _ordered(corpus: Corpus, ids: Sequence[int], seed: int, *names: str, turns: bool = False) -> list[int]:
    """All of the ids, shuffled: the labels taking ``turns``, or each spread evenly from first to last."""
    groups: dict[str, list[int]] = {label: [] for label in corpus.labels or ("",)}
    for at in sorted(ids, key=lambda at: _content(corpus.examples[at].input)):
        groups[corpus.examples[at].expected if corpus.labels else ""].append(at)
    rng = source(seed, *names)
    for group in groups.values():
        rng.shuffle(group)
    placed = [
        ((number + 0.5) / (1 if turns else len(group)), place, at)
        for place, group in enumerate(groups.values())
        for number, at in enumerate(group)
    ]
    return [at for _, _, at in sorted(placed)]
