"""Serves the simulator on a port until it is told to stop."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from processor.errors import Misconfigured
from processor.simulator.app import create_app
from processor.simulator.options import SimulatorOptions
from processor.simulator.wire import WireProtocol

_STOP_S = 1


class _Server(uvicorn.Server):
    """uvicorn, with signals left to whoever runs it: its own way ends the process by the signal."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class SimulatorServer:
    """The simulator behind a socket, within a running event loop.

    Args:
        host: address to listen on.
        port: port to listen on; 0: any free one, see :attr:`url`.
        options: what to pretend to be; `None`: the defaults.
    """

    def __init__(self, host: str, port: int, options: SimulatorOptions | None = None) -> None:
        options = options or SimulatorOptions()
        self._host = host
        self._port = port
        self._app = create_app(options)
        self._socket: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                self._app,
                http=WireProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=max(round(options.keep_alive_s), 0),
                timeout_graceful_shutdown=_STOP_S,
                backlog=2048,
            )
        )

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:8085``; known once started."""
        host, port = self._host, self._port
        if self._socket is not None:
            port = self._socket.getsockname()[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen; returns when requests are answered.

        Raises:
            Misconfigured: the address cannot be had.
        """
        self._socket = _bound(self._host, self._port)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({ready, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            await self._serving

    def ask_to_stop(self) -> None:
        """Begin to stop; requests that are still open get a second."""
        self._server.should_exit = True
        self._app.state.world.script.clear()

    async def wait(self) -> None:
        """Wait until it has stopped."""
        if self._serving is not None:
            await self._serving

    async def stop(self) -> None:
        """Stop, and wait for it."""
        self.ask_to_stop()
        await self.wait()


def run(host: str, port: int, *, options: SimulatorOptions | None = None) -> None:
    """Serve until SIGTERM or SIGINT, and return then; prints one line when ready.

    Args:
        host: address to listen on.
        port: port to listen on; 0: any free one, which the line names.
        options: what to pretend to be; `None`: the defaults.

    Raises:
        Misconfigured: the address cannot be had, or the XDM schemas cannot be used.
    """
    # Remembered messages are long-lived: 41 us of CPU a message like this, 50 us with the
    # collector's own thresholds (500 messages a request, 2026-11).
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    asyncio.run(_run(host, port, options))


async def _run(host: str, port: int, options: SimulatorOptions | None) -> None:
    server = SimulatorServer(host, port, options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.ask_to_stop)
    await server.start()
    sys.stdout.write(f"The simulator answers on {server.url}\n")
    sys.stdout.flush()
    await server.wait()


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Misconfigured(f"The simulator cannot listen on {host}: {error}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"The simulator cannot listen on {host} port {port}: {error.strerror}.",
            mend="Choose another port, or stop what uses this one.",
        ) from error
    return listener
