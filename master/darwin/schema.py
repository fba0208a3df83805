"""The JSON Schema of the objects that are to be extracted: checked if given, else made from them. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tasks.errors import InvalidInput

MAX_FIELDS = 40


def check_schema(text: str, place: str) -> str:
    """The schema as compact JSON. Must describe an object with named fields."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        schema = json.loads(text)
        Draft202012Validator.check_schema(schema)
    except ValueError as error:
        raise InvalidInput(f"{place}: not JSON ({error}): a schema is one JSON object") from None
    except SchemaError as error:
        raise InvalidInput(
            f"{place}: not a JSON Schema: {error.message[:200]} at {error.json_path}; see "
            "https://json-schema.org/learn"
        ) from None
    fields = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(fields, dict) or not fields or schema.get("type") != "object":
        raise InvalidInput(
            f'{place}: the schema must have "type": "object" and name its fields under "properties"'
        )
    if "$ref" in text and "://" in text.partition("$ref")[2]:
        raise InvalidInput(f"{place}: the schema refers to another address ($ref): put that part in here")
    return json.dumps(schema, ensure_ascii=False)


def infer_schema(objects: Sequence[dict[str, Any]], name: str) -> str:
    """The narrowest schema that all of them satisfy: fields by name, required where all have them."""
    schema = _of_objects(objects)
    if len(schema["properties"]) > MAX_FIELDS:
        raise InvalidInput(
            f"{name}: the expected objects have {len(schema['properties'])} different fields and may have "
            f"{MAX_FIELDS}: use the same names in every line"
        )
    return json.dumps(schema, ensure_ascii=False)


def _of_objects(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in objects for name in one))
    return {
        "type": "object",
        "properties": {name: _of([one[name] for one in objects if name in one]) for name in names},
        "required": [name for name in names if all(name in one for one in objects)],
        "additionalProperties": False,
    }


def _of(values: Sequence[Any]) -> dict[str, Any]:
    types = sorted({_type(value) for value in values})
    if "number" in types and "integer" in types:
        types.remove("integer")
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if "object" in types:
        schema.update(_of_objects([one for one in values if isinstance(one, dict)]), type=schema["type"])
    if "array" in types:
        items = [item for one in values if isinstance(one, list) for item in one]
        schema["items"] = _of(items) if items else {}
    return schema


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
