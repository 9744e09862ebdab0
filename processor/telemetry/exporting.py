"""Where spans go: to OpenTelemetry where its own variables say so, else nowhere."""

import os
from collections.abc import Mapping

from processor.telemetry.logs import get_logger
from processor.telemetry.spans import NoSpans, Spans

log = get_logger(__name__)

WANTED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def open_spans(name: str, environ: Mapping[str, str] = os.environ) -> Spans:
    """Spans for OpenTelemetry where its own variables say where to, else none.

    Args:
        name: of the connector; the service's, unless ``OTEL_SERVICE_NAME`` gives another.
        environ: `WANTED_BY` switch it on, ``OTEL_SDK_DISABLED=true`` off. What else OpenTelemetry
            reads from the environment, it reads itself.
    """
    if not any(environ.get(variable) for variable in WANTED_BY):
        return NoSpans()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return NoSpans()
    try:
        from processor.telemetry.otel import exported  # noqa: PLC0415 - an optional extra
    except ImportError:
        log.warning(
            "Traces are asked for, but the extra otel is not installed; none are exported.",
            variables=[variable for variable in WANTED_BY if environ.get(variable)],
        )
        return NoSpans()
    return exported(name, environ)
