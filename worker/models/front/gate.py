"""Lets only those in over the network who have the token."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from worker.models.front.errors import ApiError


class Gate:
    """An application behind a bearer token. The token is never shown, neither wrong nor right.

    It stands before a server of its own that listens on TCP alone. To look at each request's origin
    would not do: a peer that has reset its connection already has no address, as on a Unix socket.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._has_token(scope):
            await self._app(scope, receive, send)
            return
        refusal = ApiError(
            401,
            "this model server needs its token: send 'Authorization: Bearer <token>' (an OpenAI client's api_key); "
            "it is in the file secrets/models.token of the home of the machine that serves",
            code="invalid_api_key",
        )
        await refusal.response()(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        # Constant in time, so that nobody can find the token a character at a time.
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"
