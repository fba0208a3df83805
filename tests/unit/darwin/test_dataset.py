from __future__ import annotations

import json

import pytest

from master.darwin.dataset import parse
from master.darwin.split import divide, draw
from tasks.errors import InvalidInput
from tests.unit.darwin.evaluators import dataset


def lines(count: int = 40) -> list[dict[str, object]]:
    return [{"input": f"text {at}", "expected": "yes" if at % 2 else "no"} for at in range(count)]


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def with_line(at: int, line: bytes) -> bytes:
    """Forty good lines with the one numbered ``at`` (from 1) replaced."""
    good = jsonl(lines()).split(b"\n")
    good[at - 1] = line
    return b"\n".join(good)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"input": "a", "expected": ', "d.jsonl:7: not JSON at column"),
        (b'["a", "b"]', "d.jsonl:7: a list where an object belongs"),
        (b'{"expected": "yes"}', "d.jsonl:7: no field 'input'"),
        (b'{"input": "a"}', "d.jsonl:7: no field 'expected'"),
        (b'{"input": "   ", "expected": "yes"}', "d.jsonl:7: 'input' is empty"),
        (b'{"input": "a", "expected": ""}', "d.jsonl:7: 'expected' is empty"),
        (b'{"input": "a", "expected": 3.5}', "d.jsonl:7: 'expected' is 3.5, not a text"),
        (b'{"input": "a", "expected": "yse"}', "d.jsonl:7: the label 'yse' occurs only here"),
        (b'{"input": "caf\xe9", "expected": "yes"}', "d.jsonl:7: byte 0xe9 is not valid UTF-8"),
        (b'{"input": "a\\u0000b", "expected": "yes"}', "d.jsonl:7: 'input' has control characters"),
        (b'{"input": "\\ud800", "expected": "yes"}', "d.jsonl:7: 'input' has half of a surrogate pair"),
        (b'{"input": "a", "expected": "yes", "split": "tset"}', "d.jsonl:7: split is 'tset'"),
        (b'{"input": "a", "expected": "yes", "split": "test"}', "d.jsonl:1: no split, and line 7 has one"),
        (
            b'{"input": "TEXT  0", "expected": "yes"}',
            "d.jsonl:7: the same input as line 1, which expects 'no', and 'yes' is expected here",
        ),
        (b'{"input": "' + b"x" * 4001 + b'", "expected": "yes"}', "d.jsonl:7: 'input' has 4001 characters"),
        (b'{"input": "a", "expected": "' + b"y" * 61 + b'"}', "d.jsonl:7: 'expected' has 61 characters"),
    ],
)
def test_one_bad_line_is_refused_by_its_number_and_with_a_remedy(line: bytes, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(with_line(7, line), "d.jsonl")

    assert str(refused.value).startswith(complaint)
    assert ": " in str(refused.value)[len(complaint) :]


@pytest.mark.parametrize(
    ("data", "name", "complaint"),
    [
        (b"", "d.jsonl", "d.jsonl is empty"),
        (b" \n\n", "d.jsonl", "d.jsonl is empty"),
        (jsonl(lines(12)), "d.jsonl", "d.jsonl has 12 different examples and an evolution needs at least 30"),
        (
            jsonl([{**row, "expected": "yes"} for row in lines()]),
            "d.jsonl",
            "d.jsonl has the one label 'yes'",
        ),
        (
            jsonl([{"input": f"{at}", "expected": f"l{at // 2}"} for at in range(80)]),
            "d.jsonl",
            "d.jsonl has 40 different labels and may have 32",
        ),
        (b"x" * (20 * 2**20 + 1), "d.jsonl", "d.jsonl has 20.0 MiB"),
        (
            b"one|two\na|b\n",
            "d.csv",
            "d.csv:1: no field 'input': the fields are 'one|two'; rename one to input",
        ),
        (b"input,expected\na,b,c\n", "d.csv", "d.csv:2: more fields than the header"),
        (b'input,expected\n"a"b,c\n', "d.csv", "d.csv:2: not CSV"),
        ("input,expected\n".encode("utf-16"), "d.csv", "d.csv:1: byte 0xff is not valid UTF-8"),
        (b"[" * 100_000, "d.jsonl", "d.jsonl:1: not JSON"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_with_a_remedy(data: bytes, name: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(data, name)

    assert str(refused.value).startswith(complaint)


def test_csv_and_jsonl_of_the_same_rows_are_the_same_data_set() -> None:
    rows = lines()
    table = "input,expected\r\n" + "".join(f'"{row["input"]}",{row["expected"]}\r\n' for row in rows)

    from_csv = parse(b"\xef\xbb\xbf" + table.encode(), "d.csv")
    from_jsonl = parse(jsonl(rows), "d.jsonl")

    assert [(row.input, row.expected) for row in from_csv.rows] == [
        (row.input, row.expected) for row in from_jsonl.rows
    ]


def test_a_repeated_line_is_left_out_and_counted() -> None:
    table = parse(jsonl([*lines(), {"input": "Text 0 ", "expected": "no"}]), "d.jsonl")

    assert table.repeated == 1
    assert len(table.rows) == 40


def test_the_division_has_every_label_in_every_part_and_depends_on_the_seed_alone() -> None:
    table = parse(dataset(), "d.jsonl")
    corpus = divide(table, seed=3)

    assert corpus == divide(table, seed=3)
    assert corpus != divide(table, seed=4)
    for part in ("pool", "selection", "held_out"):
        assert {corpus.examples[at].label for at in corpus.ids(part)} == set(corpus.labels)


def test_a_division_given_in_the_file_is_obeyed() -> None:
    names = ("train", "dev", "test")
    rows = [{**row, "split": names[at % 3]} for at, row in enumerate(lines(60))]
    corpus = divide(parse(jsonl(rows), "d.jsonl"), seed=0)

    wanted = {"train": "pool", "dev": "selection", "test": "held_out"}
    assert [example.split for example in corpus.examples] == [wanted[str(row["split"])] for row in rows]


def test_a_file_with_test_but_no_dev_selects_on_a_part_of_train() -> None:
    rows = [{**row, "split": "test" if at % 3 == 0 else "train"} for at, row in enumerate(lines(60))]
    corpus = divide(parse(jsonl(rows), "d.jsonl"), seed=0)

    assert len(corpus.ids("held_out")) == 20
    assert len(corpus.ids("selection")) >= 8
    assert len(corpus.ids("pool")) >= 8


def test_a_division_that_leaves_a_part_too_small_is_refused() -> None:
    rows = [{**row, "split": "test" if at == 0 else "train"} for at, row in enumerate(lines())]

    with pytest.raises(InvalidInput, match=r"d\.jsonl: its division leaves 1 examples for held-out"):
        divide(parse(jsonl(rows), "d.jsonl"), seed=0)


def test_a_draw_takes_labels_by_turns() -> None:
    corpus = divide(parse(dataset(), "d.jsonl"), seed=0)
    drawn = draw(corpus, "selection", 9, seed=0)

    labels = [corpus.examples[at].label for at in drawn]
    assert sorted(labels.count(label) for label in corpus.labels) == [3, 3, 3]
    assert set(drawn) <= set(corpus.ids("selection"))
