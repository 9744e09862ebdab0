"""An HTTP proxy on loopback: tunnels (CONNECT), and asks for user and password."""

import asyncio
import base64
import contextlib
import threading
from types import TracebackType
from typing import Self

from processor.local.ports import LOOPBACK

CHUNK_BYTES = 65_536
START_S = 10.0


class HttpProxy:
    """Tunnels to wherever it is asked.

    Attributes:
        url: with user and password in it.
        address: without them.
        tunnels: ``host:port`` of each, in order.
        refused: how many requests had no or another password.
    """

    def __init__(self, user: str, password: str) -> None:
        self._wanted = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._login = f"{user}:{password}"
        self.tunnels: list[str] = []
        self.refused = 0
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(START_S)
        self.address = f"http://{LOOPBACK}:{self._port}"
        self.url = f"http://{self._login}@{LOOPBACK}:{self._port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._ended.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._tunnel(incoming, outgoing)
        finally:
            self._open.discard(task)
            outgoing.close()

    async def _tunnel(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        head = (await incoming.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        if f"proxy-authorization: basic {self._wanted.lower()}" not in head.lower():
            self.refused += 1
            outgoing.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                b'Proxy-Authenticate: Basic realm="test"\r\nContent-Length: 0\r\n\r\n'
            )
            await outgoing.drain()
            return
        assert method == "CONNECT", head
        self.tunnels.append(target)
        host, _, port = target.rpartition(":")
        theirs, ours = await asyncio.open_connection(host, int(port))
        try:
            outgoing.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(incoming, ours))
                both.create_task(_pump(theirs, outgoing))
        finally:
            ours.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK_BYTES):
        sink.write(chunk)
        await sink.drain()
    with contextlib.suppress(OSError):  # the other side has gone first
        sink.write_eof()
