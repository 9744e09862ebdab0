"""A span for each request, for OpenTelemetry. Needs the extra ``otel``; nobody else imports this.

A span is the child of the span that produced its records, where all of them are of one trace; else
it begins a trace of its own, and links to theirs. It holds the target, a count and what the request
came to, and nothing of a record.

Source: OpenTelemetry's conventions for HTTP client spans.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context as NoContext
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

import processor
from processor.record import Record
from processor.telemetry.spans import Sent
from processor.telemetry.traces import Context, agreed, linked

CLOSE_S = 2.0


def exported(name: str, environ: Mapping[str, str]) -> "OtelSpans":
    """Spans that a thread sends in batches to where ``OTEL_EXPORTER_OTLP_…`` says."""
    service = environ.get("OTEL_SERVICE_NAME") or name
    resource = Resource.create({"service.name": service, "service.version": processor.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelSpans(provider)


class OtelSpans:
    """A span for each request.

    Args:
        provider: makes the spans and has them exported.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("capillary-aep-processor", processor.__version__)

    @contextmanager
    def request(self, target: str, records: Sequence[Record]) -> Iterator[Sent]:
        """A span from the request's beginning to its answer."""
        together = agreed(records)
        context = NoContext()
        if together is not None:
            context = set_span_in_context(NonRecordingSpan(_remote(together)), context)
        span = self._tracer.start_span(
            f"POST {target}",
            context,
            SpanKind.CLIENT,
            links=[Link(_remote(one)) for one in linked(records)],
            attributes={
                "http.request.method": "POST",
                "processor.target": target,
                "processor.messages": len(records),
            },
        )
        try:
            yield _Told(span)
        finally:
            span.end()

    def close(self) -> None:
        """Hand on what was not yet; a collector that is away delays no stop by more than 2 s."""
        closing = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        closing.start()
        closing.join(CLOSE_S)


class _Told:
    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        trace, parent = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        return str(Context(trace, parent, sampled=context.trace_flags.sampled))

    def answered(self, label: str) -> None:
        if label.isdecimal():
            self._span.set_attribute("http.response.status_code", int(label))
        if not label.startswith("2"):
            self._span.set_attribute("error.type", label)
            self._span.set_status(Status(StatusCode.ERROR))


def _remote(context: Context) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(
        int(context.trace, 16), int(context.parent, 16), is_remote=True, trace_flags=flags
    )
