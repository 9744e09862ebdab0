"""Serves the admin application inside the running event loop."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from processor.admin.access import Access
from processor.admin.app import create_app
from processor.admin.limits import (
    CROWDED,
    CROWDED_TIMEOUT_S,
    HEADER_TIMEOUT_S,
    KEEP_ALIVE_S,
    MAX_CONNECTIONS,
    MAX_HEADER_BYTES,
)
from processor.connector.status import Worker
from processor.errors import Misconfigured
from processor.settings import Settings

_BACKLOG = 128
_STOP_S = 3


class AdminServer:
    """The connector over HTTP, from `start` to `stop`.

    Args:
        settings: say where to listen (port 0 takes a free one, see `port`) and who may do what.
        worker: whom to ask.
        app: another application than the one over `worker`.
        header_timeout_s: how long the head of a request may take to arrive.
    """

    def __init__(
        self,
        settings: Settings,
        worker: Worker,
        *,
        app: ASGIApp | None = None,
        header_timeout_s: float = HEADER_TIMEOUT_S,
    ) -> None:
        self._host = settings.admin.host
        self._port = settings.admin.port
        self._access = Access(settings.admin)
        self._app = create_app(worker, settings, self._access) if app is None else app
        self._header_timeout_s = header_timeout_s
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; after `start` never 0."""
        return self._port

    async def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            Misconfigured: the address is not ours, the port is occupied, or a token cannot be read.
        """
        self._access.check()
        listener = _listener(self._host, self._port)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            http=_impatient(self._header_timeout_s),
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_S,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(
            self._server.serve(sockets=[listener]), name="admin server"
        )

    def drain(self) -> None:
        """Let replays that were begun on a page drain from now on; go on answering."""
        if isinstance(self._app, Starlette):
            self._app.state.drain()

    async def stop(self) -> None:
        """Let open requests end, for three seconds, then close. Does nothing when not started."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None
        if isinstance(self._app, Starlette):
            await self._app.state.close()


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: signals belong to the connector."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _impatient(timeout_s: float) -> type[H11Protocol]:
    return type("_Impatient", (_Impatient,), {"timeout_s": timeout_s})


class _Impatient(H11Protocol):
    """uvicorn's HTTP, with an end to a request whose head never comes whole (slow loris)."""

    timeout_s: float
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self.access_log = False  # uvicorn's own switch is a logger that others share
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._unwatch()
        elif self._waiting is None:
            crowded = len(self.connections) > CROWDED
            limit_s = min(self.timeout_s, CROWDED_TIMEOUT_S) if crowded else self.timeout_s
            self._waiting = self.loop.call_later(limit_s, self.transport.close)

    def _unwatch(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _listener(host: str, port: int) -> socket.socket:
    """A bound socket. Bound here, because uvicorn ends the process when it cannot bind."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
    return listener


def _unusable(host: str, port: int, error: OSError) -> Misconfigured:
    if error.errno == errno.EADDRINUSE:
        return Misconfigured(
            f"admin.port: port {port} on {host} is occupied.",
            mend="Stop what listens there, or set another admin.port.",
        )
    if error.errno == errno.EACCES:
        return Misconfigured(
            f"admin.port: listening on port {port} is not permitted.",
            mend="Set an admin.port above 1023.",
        )
    return Misconfigured(
        f"admin.host: {host} cannot be listened on ({error.strerror or error}).",
        mend="Set an address of this machine, such as 127.0.0.1.",
    )
