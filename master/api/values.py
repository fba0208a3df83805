"""Values as JSON writes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Strict


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: A number without a fraction: 100 and 100.0 are the same to JSON, "100" is a text.
Whole = Annotated[int, BeforeValidator(_whole), Strict()]
