from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.darwin.columns import Reading
from master.darwin.dataset import parse
from master.darwin.schema import infer_schema
from master.darwin.split import blocks, divide
from tasks.darwin_genome import KINDS, Kind
from tasks.darwin_metrics import satisfies
from tasks.errors import InvalidInput

INVOICE = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "amount": {"type": "number", "minimum": 0}},
        "required": ["name", "amount"],
    }
)


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def objects(count: int = 40) -> list[dict[str, Any]]:
    return [{"input": f"bill {at}", "expected": {"name": f"n{at}", "amount": at}} for at in range(count)]


def numbers(count: int = 40) -> list[dict[str, Any]]:
    return [{"input": f"review {at}", "expected": at % 5 + 1} for at in range(count)]


def with_expected(rows: list[dict[str, Any]], at: int, value: Any) -> bytes:
    rows[at - 1] = {"input": "another", "expected": value}
    return jsonl(rows)


@pytest.mark.parametrize(
    ("header", "reading"),
    [
        ("text,label", Reading()),
        ("Text,Category", Reading()),
        ("input,expected", Reading()),
        ("mensaje,etiqueta", Reading()),
        ("label,input,expected", Reading(expected=("label",))),
        ("a,b", Reading(input="a", expected=("b",))),
    ],
)
def test_columns_are_found_by_their_usual_names_or_by_option(header: str, reading: Reading) -> None:
    names = header.split(",")
    values = {"expected": "{0}", "label": "{0}", "Category": "{0}", "etiqueta": "{0}", "b": "{0}"}
    line = ",".join(values.get(name, "text {1}") for name in names)
    table = header + "\n" + "\n".join(line.format("yes" if at % 2 else "no", at) for at in range(40))

    assert parse(table.encode(), "d.csv", reading).rows[1].input == "text 1"
    assert parse(table.encode(), "d.csv", reading).labels == ("no", "yes")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheet_that_parts_columns_otherwise_is_read(separator: str) -> None:
    rows = [f"a, b and {at}{separator}{'yes' if at % 2 else 'no'}" for at in range(40)]
    table = parse("\n".join([f"text{separator}label", *rows]).encode(), "d.csv")

    assert table.rows[3].input == "a, b and 3"


@pytest.mark.parametrize(
    ("header", "reading", "complaint"),
    [
        ("text,message,label", Reading(), "d.csv:1: 'text' and 'message' could each be the field 'input'"),
        ("first,label", Reading(), "d.csv:1: no field 'input': the fields are 'first', 'label'"),
        ("text,second", Reading(), "d.csv:1: no field 'expected': the fields are 'text', 'second'"),
        ("text,label", Reading(input="txt"), "d.csv:1: there is no field 'txt': the fields are 'text'"),
        (
            "text,label",
            Reading(input="label", expected=("label",)),
            "d.csv:1: the column 'label' is named as",
        ),
        (
            "a,b,c",
            Reading(input="a", expected=("b", "c")),
            "d.csv:1: 2 columns are named for what is expected",
        ),
    ],
)
def test_columns_that_cannot_be_told_are_asked_for(header: str, reading: Reading, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(f"{header}\n{header}\n".encode(), "d.csv", reading)

    assert str(refused.value).startswith(complaint)


def test_objects_to_extract_get_the_narrowest_schema_that_fits_them_all() -> None:
    rows = objects()
    rows[3]["expected"] = {"name": "Ana", "amount": 2.5, "items": ["a"], "paid": None}
    table = parse(jsonl(rows), "d.jsonl", Reading(kind="extract"))

    schema = json.loads(table.json_schema)
    assert schema["required"] == ["amount", "name"]
    assert schema["properties"]["amount"] == {"type": "number"}
    assert schema["properties"]["items"] == {"type": "array", "items": {"type": "string"}}
    assert schema["properties"]["paid"] == {"type": "null"}
    assert json.loads(table.rows[3].expected) == rows[3]["expected"]


def test_several_columns_make_an_object() -> None:
    table = "letter,name,city\n" + "\n".join(f"dear {at},n{at},c{at}" for at in range(40))
    found = parse(table.encode(), "d.csv", Reading(kind="extract", input="letter", expected=("name", "city")))

    assert json.loads(found.rows[5].expected) == {"name": "n5", "city": "c5"}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"name": "Ana"}, "d.jsonl:7: 'expected' does not satisfy the schema: 'amount' is a required"),
        ({"name": "Ana", "amount": -1}, "d.jsonl:7: 'expected' does not satisfy the schema: -1 is less than"),
        ("{name: Ana}", "d.jsonl:7: 'expected' is \"{name: Ana}\", not JSON"),
        ([1], "d.jsonl:7: 'expected' is [1], not an object"),
        ({}, "d.jsonl:7: 'expected' is {}, not an object with fields"),
    ],
)
def test_an_object_that_is_none_or_breaks_the_schema_is_refused_by_its_line(
    value: Any, complaint: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(with_expected(objects(), 7, value), "d.jsonl", Reading(kind="extract", json_schema=INVOICE))

    assert str(refused.value).startswith(complaint)


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ("{", "the schema: not JSON"),
        ('{"type": "objet"}', "the schema: not a JSON Schema: 'objet' is not valid"),
        ('{"type": "string"}', 'the schema: the schema must have "type": "object"'),
        (
            '{"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}}',
            "the schema: the schema refers to another address",
        ),
    ],
)
def test_a_schema_that_cannot_serve_is_refused(schema: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(jsonl(objects()), "d.jsonl", Reading(kind="extract", json_schema=schema))

    assert str(refused.value).startswith(complaint)


def test_answers_may_have_several_right_ones() -> None:
    rows: list[dict[str, Any]] = [{"question": f"q{at}", "answers": [f"a{at}", "b"]} for at in range(40)]
    table = parse(jsonl(rows), "d.jsonl", Reading(kind="answer"))

    assert (table.rows[2].expected, table.rows[2].also) == ("a2", ("b",))
    rows[4]["answers"] = []
    with pytest.raises(InvalidInput, match=r"d\.jsonl:5: 'answers' lists 0 right answers"):
        parse(jsonl(rows), "d.jsonl", Reading(kind="answer"))


@pytest.mark.parametrize("value", ["four", None, True, [1], "1,5", "nan", "1e999"])
def test_what_is_no_number_is_refused_by_its_line(value: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"d\.jsonl:7: (no field 'expected'|'expected' is .*, not a number)"
    ):
        parse(with_expected(numbers(), 7, value), "d.jsonl", Reading(kind="score"))


def test_numbers_know_their_range_and_must_differ() -> None:
    table = parse(jsonl(numbers()), "d.jsonl", Reading(kind="score"))
    assert (table.low, table.high) == (1.0, 5.0)

    same = [{**row, "expected": 3} for row in numbers()]
    with pytest.raises(InvalidInput, match=r"d\.jsonl expects 3 everywhere"):
        parse(jsonl(same), "d.jsonl", Reading(kind="score"))


@pytest.mark.parametrize("name", ["train", "Training", "dev", "VAL", "validation", "test", "held-out"])
def test_the_usual_names_of_parts_are_known(name: str) -> None:
    rows = [{**row, "split": name} for row in numbers()]
    assert {row.split for row in parse(jsonl(rows), "d.jsonl", Reading(kind="score")).rows} < {
        "train",
        "selection",
        "held_out",
    }


def test_the_order_of_the_lines_changes_no_examples_part() -> None:
    def parts(rows: list[dict[str, Any]]) -> dict[str, str]:
        corpus = divide(parse(jsonl(rows), "d.jsonl", Reading(kind="score")), seed=1)
        return {example.input: example.split for example in corpus.examples}

    rows = numbers(60)
    shuffled = random.Random(0).sample(rows, len(rows))

    assert parts(rows) == parts(shuffled)


def test_blocks_have_every_label_alike_and_no_example_twice() -> None:
    rows = [{"input": f"t{at}", "expected": "rare" if at % 4 == 0 else "often"} for at in range(160)]
    corpus = divide(parse(jsonl(rows), "d.jsonl"), seed=0)
    ids = corpus.ids("pool")
    made = blocks(corpus, ids, 16, seed=0)

    rare = [sum(corpus.examples[at].expected == "rare" for at in block) for block in made]
    assert max(rare) - min(rare) <= 1
    everything = [at for block in made for at in block]
    assert len(everything) == len(set(everything)) == len(ids) // 16 * 16
    assert blocks(corpus, ids, 16, seed=0) == made != blocks(corpus, ids, 16, seed=1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_LINES = st.fixed_dictionaries({"input": _JSON, "expected": _JSON}, optional={"split": _JSON})


@given(st.binary(max_size=200), st.sampled_from(KINDS), st.sampled_from(("d.csv", "d.jsonl")))
def test_whatever_bytes_come_are_read_or_refused_in_words(data: bytes, kind: Kind, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^d\."):
        parse(data, name, Reading(kind=kind))


@given(st.lists(_LINES, min_size=1, max_size=4), st.sampled_from(KINDS))
def test_whatever_json_comes_is_read_or_refused_in_words(lines: list[dict[str, Any]], kind: Kind) -> None:
    with pytest.raises(InvalidInput, match=r"^d\.jsonl"):
        parse(jsonl(lines), "d.jsonl", Reading(kind=kind))


_OBJECTS = st.dictionaries(st.sampled_from("abc"), _JSON, min_size=1)


@given(st.lists(_OBJECTS, min_size=1, max_size=4))
def test_any_objects_satisfy_the_schema_that_is_made_of_them(objects: list[dict[str, Any]]) -> None:
    schema = infer_schema(objects, "d.jsonl")

    assert all(satisfies(schema, one) for one in objects)
