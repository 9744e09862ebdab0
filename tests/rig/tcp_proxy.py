"""A TCP proxy on loopback that spoils connections in Toxiproxy's eight ways, at any time.

It runs in a thread of its own. A toxic acts on bytes that arrive while it is on, in the directions
that it names: ``up`` to the server, ``down`` to the client. What it means is in the class.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from processor.local.ports import LOOPBACK, free_port

Direction = Literal["up", "down"]
BOTH: tuple[Direction, ...] = ("up", "down")
CHUNK_BYTES = 65_536
QUEUE_BYTES = 1 << 20
"""Bytes that may wait for their time in one direction of one connection."""

CALL_S = 30.0
TICK_S = 0.02
RST = struct.pack("ii", 1, 0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """What is done to bytes; subclasses say it."""

    directions: tuple[Direction, ...] = BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Toxic):
    """Bytes arrive later; what was sent first arrives first."""

    latency_s: float
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(Toxic):
    """No more than so many bytes a second, in each direction of each connection."""

    bytes_per_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(Toxic):
    """The other side learns so much later that one side has closed."""

    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Toxic):
    """A black hole: bytes are swallowed. Connections that lost some are reset when it ends.

    With `after_s` they are closed already so long after they lost the first.
    """

    after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(Toxic):
    """Connections, old and new, are reset (RST) so long after it began or they did."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(Toxic):
    """Bytes travel in small packets with a pause between them."""

    bytes: int
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(Toxic):
    """A connection is closed once so many bytes went through it while this is on."""

    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Down(Toxic):
    """Nothing listens, and what was connected is reset."""


class TcpProxy:
    """Stands between clients and a server on loopback.

    Attributes:
        port: where it listens.
        upstream_port: the server's.
    """

    def __init__(self, upstream_port: int, *, port: int | None = None, seed: int = 0) -> None:
        """Choose the port; nothing runs before :meth:`start`.

        Args:
            upstream_port: of the server, which may come and go.
            port: to listen on; `None` takes a free one.
            seed: of the jitter.
        """
        self.port = port or free_port()
        self.upstream_port = upstream_port
        self.random = random.Random(seed)
        self._toxics: list[Toxic] = []
        self._links: set[_Link] = set()
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True
        )
        self._thread.start()
        self._call(self._listen())

    def close(self) -> None:
        """End every connection, and itself; harmless when it has ended."""
        if self._thread is not None:
            self._call(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None
            self._loop.close()

    def add(self, toxic: Toxic) -> Toxic:
        """Switch a toxic on, and give it back."""
        self._call(self._add(toxic))
        return toxic

    def remove(self, toxic: Toxic) -> None:
        """Switch a toxic off; harmless when it is not on."""
        self._call(self._remove(toxic))

    def clear(self) -> None:
        """Switch every toxic off."""
        for toxic in list(self._toxics):
            self.remove(toxic)

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._links)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # On the proxy's own thread.

    def active(self, direction: Direction | None = None) -> list[Toxic]:
        """The toxics that act in a direction, or all."""
        return [t for t in self._toxics if direction is None or direction in t.directions]

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, LOOPBACK, self.port, limit=CHUNK_BYTES, reuse_address=True
        )

    async def _deaf(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _stop(self) -> None:
        await self._deaf()
        for link in list(self._links):
            link.reset()
        for _ in range(100):
            if not self._links:
                break
            await asyncio.sleep(TICK_S)

    async def _add(self, toxic: Toxic) -> None:
        self._toxics.append(toxic)
        match toxic:
            case Down():
                await self._deaf()
                self._each(lambda link: link.reset())
            case ResetPeer(after_s=after_s):
                self._each(lambda link: self._loop.call_later(after_s, link.reset))

    async def _remove(self, toxic: Toxic) -> None:
        # By identity: two toxics may be equal.
        kept = [one for one in self._toxics if one is not toxic]
        if len(kept) == len(self._toxics):
            return
        self._toxics = kept
        match toxic:
            case Down() if not any(isinstance(one, Down) for one in kept):
                await self._listen()
            case Timeout():
                self._each(lambda link: link.reset() if link.lost_bytes else None)

    def _each(self, do: Callable[["_Link"], Any]) -> None:
        for link in list(self._links):
            do(link)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            for toxic in self.active():
                if isinstance(toxic, ResetPeer):
                    self._loop.call_later(toxic.after_s, link.reset)
            await link.carry()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            link.close()


class _Link:
    """One connection: a client, a server, and a pump for each direction."""

    def __init__(
        self, proxy: TcpProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.proxy = proxy
        self.lost_bytes = False
        self._client = (reader, writer)
        self._writers = [writer]
        self._pumps: list[asyncio.Task[None]] = []

    async def carry(self) -> None:
        """Carry bytes both ways until both sides have closed, or one broke off."""
        try:
            up_reader, up_writer = await asyncio.open_connection(
                LOOPBACK, self.proxy.upstream_port, limit=CHUNK_BYTES
            )
        except OSError:
            self.reset()
            return
        self._writers.append(up_writer)
        reader, writer = self._client
        self._pumps = [
            asyncio.create_task(_Pump(self, "up", reader, up_writer).run()),
            asyncio.create_task(_Pump(self, "down", up_reader, writer).run()),
        ]
        done, _ = await asyncio.wait(self._pumps, return_when=asyncio.FIRST_EXCEPTION)
        if any(pump.cancelled() or pump.exception() is not None for pump in done):
            self.reset()
            await asyncio.wait(self._pumps)

    def reset(self) -> None:
        """Break off both sides with RST."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()
        for pump in self._pumps:
            pump.cancel()

    def lose(self, after_s: float | None) -> None:
        """Note that bytes were swallowed."""
        if not self.lost_bytes and after_s is not None:
            asyncio.get_running_loop().call_later(after_s, self.close)
        self.lost_bytes = True

    def close(self) -> None:
        """Close both sides (FIN)."""
        for writer in self._writers:
            with contextlib.suppress(OSError):
                writer.close()
        for pump in self._pumps:
            pump.cancel()


class _Pump:
    """One direction: bytes are read, wait for their time, and are written."""

    def __init__(
        self,
        link: _Link,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._link = link
        self._direction = direction
        self._reader = reader
        self._writer = writer
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued = 0
        self._changed = asyncio.Event()
        self._passed = 0

    async def run(self) -> None:
        """Pump until the sender closes; then close this direction."""
        writing = asyncio.create_task(self._write())
        try:
            await self._read()
            await writing
        finally:
            writing.cancel()
        for toxic in self._toxics():
            if isinstance(toxic, SlowClose):
                await asyncio.sleep(toxic.delay_s)
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def _read(self) -> None:
        while chunk := await self._reader.read(CHUNK_BYTES):
            due_s = time.monotonic()
            for toxic in self._toxics():
                match toxic:
                    case Timeout(after_s=after_s):
                        self._link.lose(after_s)
                        chunk = b""
                    case Latency(latency_s=latency_s, jitter_s=jitter_s):
                        due_s += latency_s + jitter_s * self._link.proxy.random.random()
            if chunk:
                self._queue.append((due_s, chunk))
                self._queued += len(chunk)
                self._changed.set()
            while self._queued > QUEUE_BYTES:
                await asyncio.sleep(TICK_S)
        self._queue.append((0.0, b""))
        self._changed.set()

    async def _write(self) -> None:
        while True:
            while not self._queue:
                self._changed.clear()
                await self._changed.wait()
            due_s, chunk = self._queue.popleft()
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if not chunk:
                return
            await self._pass(chunk)
            self._queued -= len(chunk)

    async def _pass(self, chunk: bytes) -> None:
        while chunk:
            piece, wait_s = chunk, 0.0
            for toxic in self._toxics():
                match toxic:
                    case Slicer(bytes=size, delay_s=delay_s):
                        piece, wait_s = piece[:size], wait_s + delay_s
                    case Bandwidth(bytes_per_s=rate):
                        piece = piece[: max(1, int(rate * TICK_S))]
                        wait_s += len(piece) / rate
                    case LimitData(bytes=limit):
                        piece = piece[: max(0, limit - self._passed)]
                        self._passed += len(piece)
                        if self._passed >= limit:
                            self._writer.write(piece)
                            self._link.close()
                            return
            self._writer.write(piece)
            await self._writer.drain()
            chunk = chunk[len(piece) :]
            if wait_s:
                await asyncio.sleep(wait_s)

    def _toxics(self) -> list[Toxic]:
        return self._link.proxy.active(self._direction)
