"""A file that is looked at before anything starts says everything that is wrong with it, line by line."""

from __future__ import annotations

from master.darwin.columns import Reading
from master.darwin.preview import MOST_PROBLEMS, preview_examples, preview_program

LABELS = ("hours", "refund", "price")
GOOD = "text,label\n" + "".join(f"message number {at} about it,{LABELS[at % 3]}\n" for at in range(60))


def test_a_file_in_order_shows_its_columns_division_and_labels() -> None:
    found = preview_examples(GOOD.encode(), "mail.csv", Reading())
    assert found.ready
    assert found.columns is not None
    assert (found.columns.input, found.columns.expected) == ("text", ("label",))
    assert [count for _, count in found.parts] == [24, 15, 21]
    assert dict(found.labels) == dict.fromkeys(LABELS, 20)
    assert found.examples[0].input == "message number 0 about it"


def test_every_wrong_line_is_named_and_not_only_the_first() -> None:
    lines = GOOD.splitlines()
    lines[3] = 'a "quoted, extra,label,field'
    lines[10] = ",hours"
    lines[20] = "no label here,"
    found = preview_examples("\n".join(lines).encode(), "mail.csv", Reading())
    assert not found.ready
    assert [problem.split(": ")[0] for problem in found.problems] == [
        "mail.csv:4",
        "mail.csv:11",
        "mail.csv:21",
    ]
    assert found.present == ("text", "label")


def test_wrong_lines_of_jsonl_are_told_with_the_good_ones_between_them() -> None:
    lines = [f'{{"input": "text {at}", "expected": "{LABELS[at % 3]}"}}' for at in range(40)]
    lines[5], lines[7], lines[9] = "{broken", "[1]", '{"input": 7, "expected": "hours"}'
    found = preview_examples("\n".join(lines).encode(), "mail.jsonl", Reading())
    assert [problem.split(": ")[0] for problem in found.problems] == [
        "mail.jsonl:6",
        "mail.jsonl:8",
        "mail.jsonl:10",
    ]


def test_a_long_list_of_wrong_lines_is_cut_and_says_so() -> None:
    found = preview_examples(("text,label\n" + ",hours\n" * 500).encode(), "mail.csv", Reading())
    assert (len(found.problems), found.more) == (MOST_PROBLEMS, True)


def test_what_is_wrong_with_the_whole_is_told_when_every_line_is_right() -> None:
    found = preview_examples("\n".join(GOOD.splitlines()[:10]).encode(), "mail.csv", Reading())
    assert "at least 30" in found.problems[0]


def test_columns_that_cannot_be_guessed_are_offered() -> None:
    data = GOOD.replace("text,label", "alpha,beta").encode()
    found = preview_examples(data, "mail.csv", Reading())
    assert not found.ready
    assert found.present == ("alpha", "beta")
    assert preview_examples(data, "mail.csv", Reading(input="alpha", expected=("beta",))).ready


def test_nonsense_is_told_and_never_raised() -> None:
    for data in (b"", b"\xff\xfe\x00x", b"\x00" * 100, b"[" * 5000, b'text,label\n"never closed'):
        assert preview_examples(data, "mail.csv", Reading()).problems
        assert preview_examples(data, "mail.jsonl", Reading()).problems


def test_a_program_is_read_and_not_run() -> None:
    found = preview_program(
        b'GENOME = {"kind": "vector", "size": 3}\nraise SystemExit\ndef evaluate(genome):\n    return 1\n',
        "a.py",
    )
    assert found.ready
    assert found.environment is not None
    assert found.environment.genomes.size == 3
    assert "no function evaluate" in preview_program(b"x = 1", "a.py").problems[0]
