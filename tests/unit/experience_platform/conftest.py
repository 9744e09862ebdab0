"""What the tests of this wing share: settings with made-up ids, and a server that is scripted."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from processor.settings.models import ExperiencePlatformSettings, TargetSettings

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Loopback:
    """A TCP server on loopback whose every connection runs the same script."""

    def __init__(self) -> None:
        self.connections = 0
        self._servers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, script: Script, *, certificate: Path | None = None) -> str:
        """Start serving; gives the origin, such as ``http://127.0.0.1:40001``."""
        tls = None
        if certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(certificate)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self._writers.append(writer)
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        for server in self._servers:
            await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Head and body of one request with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = 0
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return head, await reader.readexactly(length)


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    server = Loopback()
    yield server
    await server.close()


@pytest.fixture
def request_reader() -> Callable[[asyncio.StreamReader], Awaitable[tuple[str, bytes]]]:
    return read_request


@pytest.fixture
def target() -> TargetSettings:
    return TargetSettings(
        inlet_id="1f2e3d",
        dataset_id="5e8a7f",
        schema_id="https://ns.adobe.com/acme/schemas/events",
        flow_id="0c1f-22",
    )


@pytest.fixture
def platform(target: TargetSettings) -> ExperiencePlatformSettings:
    return ExperiencePlatformSettings(
        org_id="0A7D42FC5DB9D3360A495FD3@AdobeOrg",
        tenant="acme",
        targets={
            "event": target,
            "loyalty": target.model_copy(update={"inlet_id": "4c5b6a", "flow_id": ""}),
        },
    )
