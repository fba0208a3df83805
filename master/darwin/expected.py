"""What an example expects, checked and brought into one form for each kind of task. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from master.darwin.columns import Reading
from tasks.darwin_metrics import satisfies
from tasks.errors import InvalidInput

MAX_LABEL_CHARACTERS = 60
MAX_EXPECTED_CHARACTERS = 4000
MAX_ALTERNATIVES = 16


def read_expected(value: Any, field: str, reading: Reading, place: str) -> tuple[str, tuple[str, ...]]:
    """(what is expected, other answers that are as right), or a refusal that begins with ``place``."""
    if reading.kind == "classify":
        return _label(value, field, place), ()
    if reading.kind == "score":
        return _number(value, field, place), ()
    if reading.kind == "extract":
        return _object(value, field, reading.json_schema, place), ()
    return _answers(value, field, place)


def read_text(value: Any, field: str, place: str, most: int) -> str:
    """A text of 1 to ``most`` characters that can be written anywhere."""
    if not isinstance(value, str):
        raise InvalidInput(f"{place}: {field!r} is {_shown(value)}, not a text: put it in quotes")
    text = value.strip()
    if not text:
        raise InvalidInput(f"{place}: {field!r} is empty: fill it in or delete the line")
    if len(text) > most:
        raise InvalidInput(f"{place}: {field!r} has {len(text)} characters and may have {most}: shorten it")
    if any(ord(character) < 32 and character not in "\t\n\r" for character in text):
        raise InvalidInput(f"{place}: {field!r} has control characters: delete them")
    # A lone surrogate is legal JSON ("\ud800") and yet no text that can be written anywhere.
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise InvalidInput(f"{place}: {field!r} has half of a surrogate pair: write the character itself")
    return text


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


def _label(value: Any, field: str, place: str) -> str:
    # Many files number their labels.
    text: Any = json.dumps(value) if isinstance(value, bool | int) else value
    return read_text(text, field, place, MAX_LABEL_CHARACTERS)


def _number(value: Any, field: str, place: str) -> str:
    text = value.strip() if isinstance(value, str) else value
    try:
        number = float("nan") if isinstance(text, bool) or text is None else float(text)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not math.isfinite(number):
        raise InvalidInput(
            f"{place}: {field!r} is {_shown(value)}, not a number: write it like 4 or 3.5, with a point and "
            "without a unit"
        )
    return f"{number:.10g}"


def _object(value: Any, field: str, json_schema: str, place: str) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidInput(
                f"{place}: {field!r} is {_shown(value)}, not JSON: to extract, write an object such as "
                '{"name": "Ana", "amount": 12}'
            ) from None
    if not isinstance(value, dict) or not value:
        raise InvalidInput(
            f"{place}: {field!r} is {_shown(value)}, not an object with fields: to extract, write one such as "
            '{"name": "Ana", "amount": 12}'
        )
    if json_schema and not satisfies(json_schema, value):
        raise InvalidInput(
            f"{place}: {field!r} does not satisfy the schema: {why_not(json_schema, value)}; correct the "
            "line or the schema"
        )
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise InvalidInput(f"{place}: {field!r} has a number that JSON has not (NaN): correct it") from None
    return read_text(text, field, place, MAX_EXPECTED_CHARACTERS)


def why_not(json_schema: str, value: Any) -> str:
    """What a person should look at first in a value that does not satisfy the schema."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(json.loads(json_schema)).iter_errors(value))
    return "nothing" if error is None else f"{error.message[:200]} at {error.json_path}"


def _answers(value: Any, field: str, place: str) -> tuple[str, tuple[str, ...]]:
    if not isinstance(value, list):
        return read_text(value, field, place, MAX_EXPECTED_CHARACTERS), ()
    if not 1 <= len(value) <= MAX_ALTERNATIVES:
        raise InvalidInput(
            f"{place}: {field!r} lists {len(value)} right answers and may list 1 to {MAX_ALTERNATIVES}"
        )
    texts = [read_text(one, field, place, MAX_EXPECTED_CHARACTERS) for one in value]
    first, *others = dict.fromkeys(texts)
    return first, tuple(others)
