"""How an answer travels: whole, slowly, in part, or not at all; real on the socket."""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, cast

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from processor.simulator.answers import Reply
from processor.simulator.faults import Fault

TRANSPORT = "processor.simulator.transport"
"""Where a request's ``scope["state"]`` holds the transport of its connection."""
_CHUNK_BYTES = 65_536
_TICKS_PER_S = 10


class WireProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the connection within reach of the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Hand the transport to every request of this connection."""
        self.app_state = {**self.app_state, TRANSPORT: transport}
        super().connection_made(transport)

    def shutdown(self) -> None:
        """Stop without waiting for the rest of a request that may never come."""
        # uvicorn's `cycle` is None before the first request, whatever its annotation says.
        if getattr(self.cycle, "more_body", False) and not self.cycle.response_complete:
            self.transport.abort()
        else:
            super().shutdown()


class Caller:
    """The other end of one request.

    Args:
        scope: ASGI's; ``state`` holds the transport when :class:`WireProtocol` serves.
        receive: ASGI's.
        send: ASGI's.
        released: set when the simulator is reset, so that nothing hangs for ever.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, released: asyncio.Event
    ) -> None:
        self._state: Mapping[str, Any] = scope.get("state", {})
        self._receive = receive
        self._send = send
        self._released = released

    async def body(self, limit_bytes: int, bytes_per_s: int | None) -> AsyncIterator[bytes]:
        """The request's body in pieces, until it ends, is above the limit, or the caller leaves.

        Raises:
            ConnectionAbortedError: the caller left before the end.
        """
        if bytes_per_s is not None:
            self._narrow(bytes_per_s)
        total, more = 0, True
        while more and total <= limit_bytes:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError("the caller left while its request was read")
            piece, more = message.get("body", b""), message.get("more_body", False)
            total += len(piece)
            yield piece
            if bytes_per_s is not None:
                await self.wait(len(piece) / bytes_per_s)

    async def wait(self, seconds: float) -> bool:
        """Let time pass; whether the caller is still there. A reset ends the wait."""
        if seconds > 0:
            await self._gone_or_released(seconds)
        return not self.is_gone

    async def wait_answering(self, seconds: float) -> bool:
        """As :meth:`wait`, once the whole request has been read; notices a caller who leaves."""
        if self.is_gone:
            await self._until_gone()
            return False
        return seconds <= 0 or not await self._gone_or_released(seconds, watch=True)

    @property
    def is_gone(self) -> bool:
        """Whether the connection is known to be closed."""
        transport = self._transport_or_none
        return transport is not None and transport.is_closing()

    async def deliver(self, reply: Reply, *, bytes_per_s: int | None = None) -> str:
        """Send a whole answer, at this rate; gives the outcome."""
        await self._start(reply, {"content-length": str(len(reply.body))})
        if bytes_per_s is None:
            await self._send({"type": "http.response.body", "body": reply.body})
            return "answered"
        step = max(bytes_per_s // _TICKS_PER_S, 1)
        for start in range(0, len(reply.body), step):
            piece = reply.body[start : start + step]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            if not await self.wait_answering(len(piece) / bytes_per_s):
                return "abandoned"
        await self._send({"type": "http.response.body", "body": b""})
        return "answered"

    async def deliver_and_close(self, reply: Reply, *, bytes_per_s: int | None = None) -> str:
        """Send a whole answer and close the connection behind it without a word."""
        transport = self._transport
        outcome = await self.deliver(reply, bytes_per_s=bytes_per_s)
        transport.close()
        return outcome

    async def cut(self, reply: Reply) -> str:
        """Send the head and half of the body, then close."""
        lines = [f"HTTP/1.1 {reply.status} Cut", *(f"{k}: {v}" for k, v in reply.headers.items())]
        head = "\r\n".join((*lines, f"content-length: {len(reply.body)}", "", "")).encode("latin-1")
        return await self.raw(head + reply.body[: len(reply.body) // 2], outcome="cut")

    async def raw(self, data: bytes, *, outcome: str = "answered") -> str:
        """Write bytes that need not be HTTP, then close."""
        transport = self._transport
        transport.write(data)
        transport.close()
        await self._until_gone()
        return outcome

    async def close(self) -> str:
        """Close the connection without an answer."""
        self._transport.close()
        await self._until_gone()
        return "closed"

    async def reset(self) -> str:
        """Reset the connection (RST) without an answer."""
        transport = self._transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await self._until_gone()
        return "reset"

    async def hang(self) -> str:
        """Never answer; ends when the caller leaves, or with a reset of the simulator."""
        await self._gone_or_released(None, watch=True)
        if self._transport_or_none is not None and not self.is_gone:
            await self.close()
        return "hung"

    async def bomb(self, reply: Reply, size_bytes: int) -> str:
        """Send a small gzip body that grows to this many bytes of spaces."""
        await self._start(reply, {"content-encoding": "gzip"})
        packer = zlib.compressobj(wbits=31)
        block = b" " * (1 << 20)
        for start in range(0, size_bytes, len(block)):
            piece = packer.compress(block[: size_bytes - start])
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
            if self.is_gone:
                await self._until_gone()
                return "abandoned"
        await self._send({"type": "http.response.body", "body": packer.flush()})
        return "answered"

    async def endless(self, reply: Reply) -> str:
        """Send a body that never ends; until the caller leaves, or a reset of the simulator."""
        transport = self._transport
        await self._start(reply, {})
        block = b" " * _CHUNK_BYTES
        while not (transport.is_closing() or self._released.is_set()):
            await self._send({"type": "http.response.body", "body": block, "more_body": True})
            await asyncio.sleep(0)
        transport.abort()
        await self._until_gone()
        return "abandoned"

    async def _start(self, reply: Reply, more: Mapping[str, str]) -> None:
        headers = {"content-type": "application/json", **reply.headers, **more}
        raw = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": raw})

    @property
    def _transport_or_none(self) -> asyncio.Transport | None:
        return self._state.get(TRANSPORT)

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._transport_or_none
        if transport is None:
            raise ConnectionResetError("this fault needs a real connection; here is none")
        return transport

    def _narrow(self, bytes_per_s: int) -> None:
        # A small receive buffer lets the sender feel a slow reader early.
        transport = self._transport_or_none
        if transport is not None:
            connection = cast("socket.socket", transport.get_extra_info("socket"))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(bytes_per_s, 65_536))

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _gone_or_released(self, seconds: float | None, *, watch: bool = False) -> bool:
        """Wait; whether the caller has left (only noticed when the body has been read)."""
        tasks = [asyncio.ensure_future(self._released.wait())]
        if watch:
            tasks.append(asyncio.ensure_future(self._watch()))
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return watch and tasks[-1] in done

    async def _watch(self) -> Literal[True]:
        await self._until_gone()
        return True


def as_scripted(fault: Fault, default: Reply) -> Reply:
    """The answer that a fault asks for, on top of the one that would have been given."""
    status, body, headers = default.status, default.body, dict(default.headers)
    if fault.redirect:
        status, body, headers["location"] = fault.status or 307, b"", fault.redirect
    if fault.status is not None:
        status = fault.status
    if fault.has_body:
        is_text = isinstance(fault.body, str)
        body = fault.body.encode() if is_text else orjson.dumps(fault.body)
        headers["content-type"] = "text/html" if is_text else "application/json"
    if fault.content_type:
        headers["content-type"] = fault.content_type
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    headers.update({name.lower(): value for name, value in fault.headers.items()})
    return Reply(status, b"" if status in {204, 304} else body, headers)
