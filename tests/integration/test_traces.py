"""``traceparent`` from a record's header to the header of the request that carries it."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Noting(ThreadingHTTPServer):
    """Experience Platform that accepts everything and keeps the headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Accepting)
        self.seen: list[tuple[int, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Accepting(BaseHTTPRequestHandler):
    server: Noting

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        count = len(json.loads(body)["messages"])
        self.server.seen.append((count, self.headers["traceparent"]))
        answer = json.dumps({"responses": [{"status": 202, "xactionId": "1"}] * count}).encode()
        self.send_response(207)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as the library has it
        pass


@pytest.fixture
def noting() -> Iterator[Noting]:
    server = Noting()
    threading.Thread(target=server.serve_forever, daemon=True).start()

    yield server

    server.shutdown()
    server.server_close()


def test_a_record_takes_its_trace_along(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    noting: Noting, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    records, _ = capillary.records(40)
    settings = connector_settings(topic)
    settings["experience_platform"]["endpoint"] = noting.url
    traced = [{**record, "headers": [("traceparent", TRACE.encode())]} for record in records]
    produce(topic, traced)

    running = connector(settings)

    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    assert {trace for _, trace in noting.seen} == {TRACE}
    assert sum(count for count, _ in noting.seen) >= len(records)
