"""``traceparent`` from a record's header to the header of the request that carries it."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from processor.local.ports import free_port

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Noting(ThreadingHTTPServer):
    """Experience Platform that accepts everything and keeps the headers; a collector as well."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Accepting)
        self.seen: list[tuple[int, str | None]] = []
        self.collected: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Accepting(BaseHTTPRequestHandler):
    server: Noting

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.collected.append(body)
            self._answer(200, b"")
            return
        count = len(json.loads(body)["messages"])
        self.server.seen.append((count, self.headers["traceparent"]))
        answer = json.dumps({"responses": [{"status": 202, "xactionId": "1"}] * count}).encode()
        self._answer(207, answer)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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


def test_where_traces_are_collected_a_request_is_a_span_between_the_producer_and_its_answer(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    noting: Noting, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    records, _ = capillary.records(40)
    settings = connector_settings(topic)
    settings["experience_platform"]["endpoint"] = noting.url
    traced = [{**record, "headers": [("traceparent", TRACE.encode())]} for record in records]
    produce(topic, traced)

    running = connector(
        settings, OTEL_EXPORTER_OTLP_ENDPOINT=noting.url, OTEL_SERVICE_NAME="loyalty-to-aep"
    )
    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    assert running.stop() == 0  # which hands on what was not yet

    spans = [span for body in noting.collected for span in spans_of(body)]
    sent = {trace for _, trace in noting.seen}
    _, trace_id, parent_id, _ = TRACE.split("-")
    assert {f"00-{s.trace_id.hex()}-{s.span_id.hex()}-01" for s in spans} == sent
    assert {s.trace_id.hex() for s in spans} == {trace_id}
    assert {s.parent_span_id.hex() for s in spans} == {parent_id}
    assert b"loyalty-to-aep" in noting.collected[0]


def spans_of(body: bytes) -> Iterator[Any]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def test_a_collector_that_is_away_delays_neither_records_nor_the_stop(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    arrives: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    records, expected = capillary.records(100)
    produce(topic, records)

    running = connector(
        connector_settings(topic), OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}"
    )

    arrives(expected)
    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    assert running.stop() == 0
