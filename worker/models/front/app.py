"""``/v1``: the model server for programs that speak OpenAI's API, so that they can use the same GPU."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tasks.errors import HandlerError
from worker.models.answering import Activity, answer_of, taken_on
from worker.models.front.catalog import Catalog
from worker.models.front.errors import CLIENT_GONE_STATUS, ApiError, told
from worker.models.front.reading import read
from worker.models.front.requests import ChatRequest, CompletionRequest, EmbeddingRequest, TextRequest
from worker.models.front.shapes import ChatShape, CompletionShape, Heading, Shape, embeddings
from worker.models.front.texts import Texts, make_items
from worker.models.stats import Counters

Handler = Callable[[Request], Awaitable[Response]]


def make_front(
    catalog: Catalog, counters: Counters, activity: Activity, clock: Callable[[], float] = time.time
) -> Starlette:
    """The application to mount at ``/v1``."""
    front = _Front(catalog, counters, activity, clock)
    return Starlette(
        routes=[
            Route("/models", front.answering(front.models), methods=["GET"]),
            Route("/models/{model:path}", front.answering(front.model), methods=["GET"]),
            Route("/completions", front.answering(front.completions), methods=["POST"]),
            Route("/chat/completions", front.answering(front.chat), methods=["POST"]),
            Route("/embeddings", front.answering(front.embeddings), methods=["POST"]),
        ],
        exception_handlers={HTTPException: _no_such_route, Exception: _unexpected},
    )


class _Front:
    def __init__(
        self, catalog: Catalog, counters: Counters, activity: Activity, clock: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._counters = counters
        self._activity = activity
        self._clock = clock
        self._started_at_s = int(clock())
        self._texts = Texts(catalog, counters, activity)

    def answering(self, handler: Handler) -> Handler:
        """``handler`` with its failures in OpenAI's form."""

        async def endpoint(request: Request) -> Response:
            with self._activity.request():
                try:
                    return await handler(request)
                except ApiError as error:
                    return error.response()
                except HandlerError as error:
                    return told(error).response()
                except ClientDisconnect:
                    return Response(status_code=CLIENT_GONE_STATUS)

        return endpoint

    async def models(self, _: Request) -> Response:
        listed = [self._listed(name) for name in self._catalog.offered()]
        return JSONResponse({"object": "list", "data": listed})

    async def model(self, request: Request) -> Response:
        name = request.path_params["model"]
        if name not in self._catalog.offered():
            raise ApiError(
                404, f"no model {name!r} is listed at /v1/models", param="model", code="model_not_found"
            )
        return JSONResponse(self._listed(name))

    def _listed(self, name: str) -> dict[str, str | int]:
        return {"id": name, "object": "model", "created": self._started_at_s, "owned_by": "d8"}

    async def completions(self, request: Request) -> Response:
        asked = await read(request, CompletionRequest)
        shape = CompletionShape(self._heading("cmpl", asked))
        return await self._answer(request, asked, asked.prompt, asked.max_tokens, shape)

    async def chat(self, request: Request) -> Response:
        asked = await read(request, ChatRequest)
        # May load the model; so the 404 comes before anything else.
        prompt = await run_in_threadpool(
            lambda: self._catalog.find(asked.model, "text").chat_prompt(asked.pairs())
        )
        shape = ChatShape(self._heading("chatcmpl", asked))
        return await self._answer(request, asked, [prompt], asked.limit(), shape)

    async def embeddings(self, request: Request) -> Response:
        asked = await read(request, EmbeddingRequest)
        with taken_on(self._counters, len(asked.input)):
            reply = await answer_of(
                request, lambda: self._catalog.find(asked.model, "embedding").embed(asked.input)
            )
        return JSONResponse(embeddings(asked.model, reply, asked.encoding_format))

    async def _answer(
        self,
        request: Request,
        asked: TextRequest,
        prompts: list[str] | tuple[str, ...],
        limit: int,
        shape: Shape,
    ) -> Response:
        # The same request without a seed is a new question each time, as it is at OpenAI's.
        random_seed = int.from_bytes(os.urandom(8), "big") >> 1
        items = make_items(asked, prompts, limit, random_seed)
        send = self._texts.streamed if asked.stream else self._texts.whole
        return await send(request, asked, items, shape)

    def _heading(self, kind: str, asked: TextRequest) -> Heading:
        return Heading(
            id=f"{kind}-{secrets.token_hex(12)}",
            created_s=int(self._clock()),
            model=asked.model,
            n=asked.n,
        )


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    what = "takes no " + request.method if status == 405 else "is not offered"
    return ApiError(status, f"{request.url.path} {what}: see docs/models.md", code="unknown_url").response()


async def _unexpected(request: Request, error: Exception) -> Response:
    """Logged by the server with its traceback; told without."""
    message = f"the model server failed ({type(error).__name__}): see its log"
    return ApiError(500, message, code="internal_error").response()
