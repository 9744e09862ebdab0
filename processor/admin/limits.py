"""Bounds for what a client may send to the admin server."""

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 65_536
MAX_HEADER_BYTES = 16_384
MAX_CONNECTIONS = 64
HEADER_TIMEOUT_S = 10.0
BODY_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 5


class BoundedBodies:
    """Answers 413 to a body over 64 KB and 408 to one that does not arrive in time.

    Source: faults.md, S32.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body first, within bounds, then let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._body(receive)
        except TimeoutError:
            await _refusal(408, "The request did not arrive in time.")(scope, receive, send)
            return
        if body is None:
            message = f"The request is over {self._max_bytes} bytes."
            await _refusal(413, message)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; `None` when it is too large."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse(
        {"error_code": status, "message": message},
        status_code=status,
        headers={"connection": "close"},
    )
