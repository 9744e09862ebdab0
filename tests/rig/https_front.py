"""A reverse proxy that speaks TLS, and may ask for user and password, before a plain server."""

import base64
import ssl
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from processor.local.ports import LOOPBACK
from tests.rig.in_thread import InThread

UPSTREAM_S = 30.0
NOT_FORWARDED = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class HttpsFront(InThread):
    """Stands before a server on loopback.

    Attributes:
        url: what clients are given in place of the server's.
        login: user and password that are asked for; `None`: nobody is asked.
        elsewhere: not empty: every request is answered with a redirect to there.
        statuses: of the answers, in order.
    """

    def __init__(
        self,
        upstream: str,
        certificate: Path,
        *,
        login: tuple[str, str] | None = None,
        newest_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ) -> None:
        self.login = login
        self.elsewhere = ""
        self.statuses: list[int] = []
        self._upstream = httpx.Client(trust_env=False, timeout=UPSTREAM_S)
        parts = urlsplit(upstream)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._server = _Server((LOOPBACK, 0), self._handler())
        self._server.tls.load_cert_chain(certificate)
        if newest_tls != ssl.TLSVersion.MAXIMUM_SUPPORTED:
            # Debian's OpenSSL speaks the old versions at its lowest security level only.
            self._server.tls.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                self._server.tls.minimum_version = newest_tls
                self._server.tls.maximum_version = newest_tls
        super().__init__(self._server)
        self.url = f"https://{LOOPBACK}:{self._server.server_port}{parts.path}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._upstream.close()

    def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        if self.elsewhere:
            return httpx.Response(307, headers={"location": self.elsewhere + path})
        if self.login is not None:
            wanted = base64.b64encode(":".join(self.login).encode()).decode()
            if headers.pop("authorization", "") != f"Basic {wanted}":
                return httpx.Response(401, headers={"www-authenticate": 'Basic realm="test"'})
        return self._upstream.request(method, self._origin + path, headers=headers, content=body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                kept = {k.lower(): v for k, v in self.headers.items()}
                for name in ("host", *NOT_FORWARDED):
                    kept.pop(name, None)
                answer = front._answer(self.command, self.path, kept, body)
                front.statuses.append(answer.status_code)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in NOT_FORWARDED:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def do_GET(self) -> None:
                self._pass()

            def do_POST(self) -> None:
                self._pass()

            def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - the library's name
                del format

        return Handler


class _Server(ThreadingHTTPServer):
    """Shakes hands in the thread of each connection; what fails there is the client's to tell."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""
