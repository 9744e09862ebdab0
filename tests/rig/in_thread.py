"""A server of the standard library that answers on a thread of its own while a ``with`` lasts."""

import threading
from http.server import HTTPServer
from types import TracebackType
from typing import Self


class InThread:
    """Serves from ``with`` to its end; then nothing of it is left.

    Args:
        server: bound already, so its port is known.
    """

    def __init__(self, server: HTTPServer) -> None:
        self._served = server
        self._thread = threading.Thread(target=server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._served.shutdown()
        self._served.server_close()
        self._thread.join()
