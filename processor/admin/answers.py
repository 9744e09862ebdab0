"""Answers as JSON, and errors in Kafka Connect's shape: ``{"error_code", "message"}``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.errors import Misconfigured, TryAgain
from processor.telemetry.logs import get_logger, redact

log = get_logger(__name__)

HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def answer(body: Any, status: int = 200, headers: Mapping[str, str] = HEADERS) -> Response:
    """A body as JSON."""
    return Response(
        orjson.dumps(body), status_code=status, headers=headers, media_type="application/json"
    )


def empty(status: int) -> Response:
    """No body: 202 (it will be done) or 204 (it is done)."""
    return Response(status_code=status, headers=HEADERS)


def refused(_request: Request, error: Exception) -> Response:
    """What the client did wrong; starlette's own words become Connect's."""
    if not isinstance(error, HTTPException):
        raise error
    message = error.detail
    if message == HTTPStatus(error.status_code).phrase:
        message = f"HTTP {error.status_code} {message}"
    body = {"error_code": error.status_code, "message": message}
    headers = {**HEADERS, **(error.headers or {})}
    return answer(body, error.status_code, headers)


def later(_request: Request, error: Exception) -> Response:
    """Kafka is away, or refuses us: 500, as Connect's when it cannot write its own topics."""
    log.warning("A request over HTTP could not be fulfilled.", cause=str(error))
    headers = {**HEADERS, "retry-after": "1"} if isinstance(error, TryAgain) else HEADERS
    body = {"error_code": 500, "message": redact(str(error))}
    return answer(body, 500, headers)


def failed(_request: Request, error: Exception) -> Response:
    """A defect of ours; its text may quote anything and stays here."""
    log.error("A request over HTTP ended by a defect.", kind=type(error).__name__)
    body = {"error_code": 500, "message": "Internal error; the log says more."}
    return answer(body, 500)


HANDLERS = {HTTPException: refused, TryAgain: later, Misconfigured: later, Exception: failed}
