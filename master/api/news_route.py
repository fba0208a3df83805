"""``POST /api/news``: another process of this master has committed something; ring for it now.

Only a hint, as all news are: whoever sends it can make the master look earlier than it would anyway.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from master.api.auth import Gatekeeper
from master.store import News
from master.tokens import Principal, Scope
from tasks.record import Record


class Heard(Record):
    runs: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=1000)
    dispatch: bool = False


def news_router(hear: Callable[[News], None], gatekeeper: Gatekeeper) -> APIRouter:
    """``hear`` takes the news, and returns at once."""
    router = APIRouter(prefix="/api")
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)

    @router.post("/news", include_in_schema=False)
    async def post_news(_: Owner, body: Heard) -> dict[str, Any]:
        hear(News(runs=set(body.runs), dispatch=body.dispatch))
        return {}

    return router
