"""``text.embed``: vectors for a shard of texts."""

from __future__ import annotations

from tasks.text_embed import Request, Result
from worker.handlers.context import Context
from worker.models.reference import DEFAULT_EMBEDDING_MODEL

#: Decimals kept: beyond the precision of the models, and half the bytes.
_DECIMALS = 5


def handle(request: Request, context: Context) -> Result:
    """Embed the texts with the model that the request names."""
    model = request.model or DEFAULT_EMBEDDING_MODEL
    vectors = context.models.embed(model, request.texts)
    description = context.models.describe(model)
    return Result(
        vectors=tuple(tuple(round(value, _DECIMALS) for value in vector) for vector in vectors),
        model_sha256=description["sha256"],
    )
