"""Bounds for what a client may send to the admin server, how fast, and how many at once."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 65_536
MAX_HEADER_BYTES = 16_384
MAX_CONNECTIONS = 512
MAX_AT_ONCE = 32
"""Requests that are being answered; probes and metrics do not count."""

CROWDED = 256
"""With so many connections open, one that sends nothing is cut off sooner."""

HEADER_TIMEOUT_S = 10.0
CROWDED_TIMEOUT_S = 1.0
BODY_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 5

REQUESTS_PER_S = 100.0
BURST = 200.0
"""Of one client; what answers takes the processor time that tasks on the same cores need."""

MAX_CLIENTS = 1024
UNPACED = frozenset({"/livez", "/readyz", "/health", "/metrics"})
RETRY_AFTER = {"retry-after": "1"}


class Slots:
    """So many requests are answered at once; one more is told to come again."""

    def __init__(self, most: int = MAX_AT_ONCE) -> None:
        self._free = most

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Take one.

        Raises:
            HTTPException: 429, all are taken.
        """
        if self._free <= 0:
            raise HTTPException(429, "Too many requests at once; try again.", RETRY_AFTER)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class Paced:
    """Answers 429 to a client that asks too often; probes and metrics are answered always.

    Args:
        per_s: requests of one client in a second, in the long run.
        burst: that may come at once.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        per_s: float = REQUESTS_PER_S,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, or not."""
        if scope["type"] != "http" or scope["path"] in UNPACED or self._may(scope):
            await self._app(scope, receive, send)
        else:
            message = "Too many requests; try again."
            await _refusal(429, message, RETRY_AFTER)(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        """Take one of what the client has left; it gets more as time goes on."""
        client, now = scope.get("client"), self._clock()
        address = client[0] if client else ""
        left, then = self._clients.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_s)
        allowed = left >= 1
        self._clients[address] = (left - 1 if allowed else left, now)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return allowed


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
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            message = f"The headers are over {MAX_HEADER_BYTES} bytes."
            await _refusal(431, message)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = None if self._is_announced(scope) else await self._body(receive)
        except TimeoutError:
            await _refusal(408, "The request did not arrive in time.")(scope, receive, send)
            return
        if body is None:
            message = f"The request is over {self._max_bytes} bytes."
            await _refusal(413, message)(scope, receive, self._after_the_rest(receive, send))
            return
        await self._app(scope, _replay(body, receive), send)

    def _is_announced(self, scope: Scope) -> bool:
        """Whether the client says itself that it is too large; then none of it is kept."""
        announced = Headers(scope=scope).get("content-length", "0")
        return announced.isdecimal() and int(announced) > self._max_bytes

    def _after_the_rest(self, receive: Receive, send: Send) -> Send:
        """Send the answer, and close only when the client has sent what it wanted to.

        A connection that is closed with bytes unread is reset, and the answer would be lost.
        """

        async def send_then_drain(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timeout_s):
                        await _drain(receive)
                message = {**message, "body": b""}
            await send(message)

        return send_then_drain

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


async def _drain(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _refusal(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        {"error_code": status, "message": message},
        status_code=status,
        headers={"connection": "close", "cache-control": "no-store", **(headers or {})},
    )
