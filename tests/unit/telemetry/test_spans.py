import logging
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from processor.record import Record
from processor.telemetry.exporting import open_spans
from processor.telemetry.otel import OtelSpans
from processor.telemetry.spans import NoSpans, Spans

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "0af7651916cd43dd8448eb211c80319c"
CUSTOMER = b"jane.doe@customers.invalid"


def record(trace: str | None) -> Record:
    headers = [("traceparent", f"00-{trace}-{PARENT}-01".encode())] if trace else []
    return Record("t", 0, 7, key=CUSTOMER, value=CUSTOMER, headers=headers)


class Collected:
    """OpenTelemetry that keeps what it is told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.spans = OtelSpans(provider)

    def sent(self, *traces: str | None, label: str = "207") -> tuple[str, ReadableSpan]:
        """The header of a request with such records, and its span."""
        header = send(self.spans, [record(trace) for trace in traces], label)
        return header, self._exporter.get_finished_spans()[-1]


def send(spans: Spans, records: Sequence[Record], label: str = "207") -> str:
    with spans.request("loyalty", records) as span:
        span.answered(label)
        return span.traceparent


def hexadecimal(span: Any) -> str:
    return f"{span.trace_id:032x}-{span.span_id:016x}"


def test_records_of_one_trace_give_a_request_that_is_its_child() -> None:
    header, span = Collected().sent(TRACE, TRACE)

    assert header == f"00-{hexadecimal(span.context)}-01"
    assert header.split("-")[1] == TRACE
    assert span.parent is not None
    assert hexadecimal(span.parent) == f"{TRACE}-{PARENT}"


@pytest.mark.parametrize("other", [OTHER, None])
def test_records_that_do_not_agree_give_a_trace_of_its_own_that_links_to_theirs(
    other: str | None,
) -> None:
    header, span = Collected().sent(TRACE, other)

    assert span.parent is None
    assert header.split("-")[1] not in {TRACE, OTHER}
    expected = [f"{trace}-{PARENT}" for trace in (TRACE, other) if trace]
    assert [hexadecimal(link.context) for link in span.links] == expected


def test_a_span_says_what_the_request_came_to_and_nothing_of_a_record() -> None:
    _, span = Collected().sent(TRACE, None)

    assert (span.name, span.kind) == ("POST loyalty", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 207,
        "processor.target": "loyalty",
        "processor.messages": 2,
    }
    assert span.status.is_ok
    assert CUSTOMER.decode() not in span.to_json()


@pytest.mark.parametrize(("label", "status"), [("503", 503), ("network", None)])
def test_a_request_that_came_to_nothing_is_an_error(label: str, status: int | None) -> None:
    _, span = Collected().sent(TRACE, label=label)

    attributes = dict(span.attributes or {})
    assert not span.status.is_ok
    assert attributes["error.type"] == label
    assert attributes.get("http.response.status_code") == status


def test_a_request_that_is_given_up_has_ended_too() -> None:
    collected = Collected()

    with pytest.raises(KeyError), collected.spans.request("loyalty", [record(TRACE)]):
        raise KeyError

    _, after = collected.sent(TRACE)
    assert after.end_time is not None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"},
    ],
)
def test_nothing_is_exported_unless_it_is_asked_for(environ: dict[str, str]) -> None:
    spans = open_spans("connector", environ)

    assert isinstance(spans, NoSpans)
    assert send(spans, [record(TRACE), record(TRACE)]) == f"00-{TRACE}-{PARENT}-01"
    assert send(spans, [record(TRACE), record(OTHER)]) == ""
    spans.close()


def test_without_the_extra_it_says_so_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "processor.telemetry.otel", None)

    with caplog.at_level(logging.WARNING, "processor.telemetry.exporting"):
        spans = open_spans("connector", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})

    assert isinstance(spans, NoSpans)
    assert len(caplog.records) == 1
