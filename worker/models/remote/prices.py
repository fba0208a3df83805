"""What an endpoint charges, so that every step's record says what it cost."""

from __future__ import annotations

import json

from pydantic import Field, ValidationError

from tasks.errors import InvalidInput
from tasks.record import Record
from worker.models.protocol import Usage


class Price(Record):
    """Per million tokens, in units of the owner's currency. One unit for a million tokens is one
    millionth of a unit for each."""

    prompt: float = Field(default=0.0, ge=0)
    generated: float = Field(default=0.0, ge=0)

    def micros(self, usage: Usage) -> int:
        """Millionths of a unit, rounded up: what is spent is never understated."""
        exact = self.prompt * usage.prompt_tokens + self.generated * usage.generated_tokens
        return -int(-exact // 1)


FREE = Price()


def parse_prices(text: str) -> dict[str, Price]:
    """Model reference -> price, from ``D8_MODEL_PRICES``: ``{"openai:https://...#model": {"prompt": 0.15,
    "generated": 0.6}}``. ``InvalidInput`` shows that form."""
    try:
        given = json.loads(text or "{}")
        return {str(reference): Price.model_validate(price) for reference, price in given.items()}
    except (ValueError, AttributeError, ValidationError) as error:
        raise InvalidInput(
            'D8_MODEL_PRICES is not of the form {"openai:https://host/v1#model": {"prompt": 0.15, "generated": '
            f"0.6}}}} (per million tokens): {error}"
        ) from error
