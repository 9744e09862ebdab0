"""Logs: sentences with values as fields, on stderr, and no secret in any of them."""

import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from rich.console import Console

from processor.settings.models import LoggingSettings
from processor.settings.secrets import tell_when_read
from processor.telemetry.redaction import Redactor

QUIET = ("httpx", "httpcore", "uvicorn", "asyncio", "hpack")
"""Libraries whose lines below WARNING tell about every request, headers included."""

_redactor = Redactor()


def register_secret(value: str) -> None:
    """Mask this value in every log line from now on, in all its written forms."""
    _redactor.register(value)


def redact(text: str) -> str:
    """The text without registered secrets; for error texts that leave by another door."""
    return _redactor.text(text)


tell_when_read(register_secret)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that takes a sentence and fields: ``log.info("Started.", tasks=2)``.

    Its level is that of the standard library's logger of the same name.
    """
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(
    settings: LoggingSettings,
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    who: Mapping[str, Any] | None = None,
) -> None:
    """Send every log line of this process, ours and libraries', through one formatter.

    Args:
        settings: level and format.
        secrets: values to mask, for a start; `register_secret` adds more.
        stream: where lines go; stderr unless given.
        who: fields of every line, such as the task's number, whatever thread it comes from.
    """
    for secret in secrets:
        register_secret(secret)
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(settings, stream, who or {}))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level)
    for name in QUIET:
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        library.handlers = []
        library.propagate = True
    logging.captureWarnings(capture=True)


def _formatter(
    settings: LoggingSettings, stream: TextIO, who: Mapping[str, Any]
) -> logging.Formatter:
    render: structlog.typing.Processor
    if settings.format == "console":
        terminal = Console(file=stream)
        render = structlog.dev.ConsoleRenderer(
            colors=terminal.is_terminal and not terminal.no_color,
            exception_formatter=structlog.dev.plain_traceback,  # others show local variables
            event_key="message",
        )
    else:
        render = structlog.processors.JSONRenderer()
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_FIELDS,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            lambda _logger, _method, fields: {**fields, **who},
            structlog.processors.EventRenamer("message"),
            _redact,
            render,
        ],
    )


def _redact(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The one place where secrets leave a log line; it stands before every renderer."""
    redacted: dict[str, Any] = _redactor.value("", fields)
    return redacted


_FIELDS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]

# At import: whoever logs before `configure` must not write to stdout, structlog's default.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_FIELDS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
