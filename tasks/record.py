"""The base of every message and payload: frozen, checked, and closed to unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A small immutable value that crosses a process boundary as JSON.

    Unknown fields are refused: a field that one side does not know is a difference of builds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
