"""Clients that crowd the admin server: many at once, some that never finish, one far too large.

    python -m tests.bench.crowd --port 8083

Runs until SIGTERM and writes a JSON line every second: how often each status was answered. It is
nice: it stands for other machines, so the processor that it shares with what is measured should
not count.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
AGAIN_S = 0.05
TELL_S = 1.0
DRIP_S = 0.5
CHUNK = b"x" * 65_536
PATHS = ("/connectors?expand=status&expand=info", "/metrics", "/readyz", "/connectors")


@dataclass(slots=True)
class Crowd:
    """What is asked of one server, and what came of it.

    Attributes:
        every_s: each client asks so often.
        answered: by status; ``cut`` counts connections that the server closed.
    """

    port: int
    every_s: float = 1.0
    body_mb: int = 100
    answered: Counter[str] = field(default_factory=Counter)

    async def client(self, number: int) -> None:
        """Ask again and again, on one connection while it holds."""
        path = PATHS[number % len(PATHS)]
        request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        await asyncio.sleep(self.every_s * (number % 100) / 100)
        while True:
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
                await self._ask_on(request)
            await asyncio.sleep(AGAIN_S)

    async def slow(self) -> None:
        """Begin a request, byte by byte, and never end it."""
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
                try:
                    writer.write(b"GET /connectors HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
                    while not reader.at_eof():
                        writer.write(b"x")
                        await writer.drain()
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(reader.read(1), DRIP_S)
                    self.answered["cut"] += 1
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN_S)

    async def large(self) -> None:
        """Send a body that is far too large, whole."""
        size = self.body_mb * 1_000_000
        head = f"PUT /connectors/x/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n"
        while True:
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
                try:
                    with contextlib.suppress(OSError):  # it may have had enough, and answered
                        writer.write(f"{head}\r\n".encode())
                        for _ in range(size // len(CHUNK)):
                            writer.write(CHUNK)
                            await writer.drain()
                    await self._answer(reader)
                finally:
                    writer.close()
            await asyncio.sleep(self.every_s * 5)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            print(json.dumps(dict(self.answered)), flush=True)  # noqa: T201 - its report

    async def _ask_on(self, request: bytes) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            while True:
                writer.write(request)
                await writer.drain()
                await self._answer(reader)
                await asyncio.sleep(self.every_s)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if (length := LENGTH.search(head)) is not None:
            await reader.readexactly(int(length[1]))
        if (status := STATUS.match(head)) is not None:
            self.answered[status[1].decode()] += 1

    async def run(self, clients: int, slow: int, large: int) -> None:
        """All of it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            for number in range(clients):
                group.create_task(self.client(number))
            for _ in range(slow):
                group.create_task(self.slow())
            for _ in range(large):
                group.create_task(self.large())


async def until_stopped(crowd: Crowd, options: argparse.Namespace) -> None:
    """Run until SIGTERM."""
    running = asyncio.create_task(crowd.run(options.clients, options.slow, options.large))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def be_nice() -> None:
    """Leave the processor to whoever wants it; Linux shares it among sessions before processes."""
    os.nice(19)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def main() -> None:
    """Run until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--large", type=int, default=1)
    parser.add_argument("--every-s", type=float, default=1.0)
    options = parser.parse_args()
    be_nice()
    asyncio.run(until_stopped(Crowd(options.port, options.every_s), options))


if __name__ == "__main__":
    main()
