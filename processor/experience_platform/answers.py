"""What an answer of Experience Platform means for the messages that were sent (pure)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson

from processor.errors import Code, Refused, Violation
from processor.experience_platform import adobe_words
from processor.experience_platform.item_order import contradicts_positions
from processor.experience_platform.retry_after import retry_after_s

MAX_XACTION_ID_CHARACTERS = 128
_MAX_DEPTH = 16

_SUCCESS = range(200, 300)
_REDIRECTION = range(300, 400)
_REFUSAL = range(400, 500)
_FAILURE = range(500, 600)
_OF_THE_MOMENT = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
_TOKEN_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_STATUS_KEYS = ("status", "statusCode")
_STATUS_TEXT = re.compile(r"[1-5][0-9][0-9]")


@dataclass(frozen=True, slots=True)
class Accepted:
    """Experience Platform has the message.

    Attributes:
        xaction_id: the key by which Adobe's support finds it.
    """

    xaction_id: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The message is at fault."""

    error: Refused


@dataclass(frozen=True, slots=True)
class Again:
    """The message was not taken, for a reason of the moment; its neighbours have their own verdict.

    Attributes:
        status: 408, 425, 429, 5xx; or 401 and 403 when other messages were not refused so.
        retry_after_s: seconds the answer asks to wait, `None` when it does not.
    """

    status: int
    retry_after_s: float | None = None


Verdict = Accepted | Rejected | Again


@dataclass(frozen=True, slots=True)
class Settled:
    """One verdict for each message sent, in the order sent."""

    verdicts: tuple[Verdict, ...]
    status: int = HTTPStatus.MULTI_STATUS


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A success whose body does not give every message a verdict: the outcome is unknown."""

    why: str
    status: int = HTTPStatus.MULTI_STATUS


@dataclass(frozen=True, slots=True)
class Away:
    """Experience Platform cannot take the request now.

    Attributes:
        reason: ``throttled``, ``unavailable``, ``network`` or ``timeout``.
        status: HTTP status, `None` when none came.
        may_have_arrived: whether the messages may have been taken all the same.
    """

    reason: str
    retry_after_s: float | None = None
    status: int | None = None
    may_have_arrived: bool = False


@dataclass(frozen=True, slots=True)
class ServerError:
    """500: an outage, or one message that Experience Platform trips over."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: the request is larger than Experience Platform takes."""

    status: int = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """401 or 403: the token is invalid or has expired, or may not do this."""

    status: int


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The request as a whole was refused for what is in it."""

    error: Refused


@dataclass(frozen=True, slots=True)
class SetupFault:
    """A person has to change something.

    Attributes:
        message: what happened.
        mend: what to change.
    """

    message: str
    mend: str
    status: int | None = None


Answer = (
    Settled
    | Unreadable
    | Away
    | ServerError
    | TooLarge
    | TokenRefused
    | RequestRefused
    | SetupFault
)


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, sent: int, now: datetime
) -> Answer:
    """Say what an answer of the batch endpoint means.

    Nothing of the answer's free text is kept: it may quote a customer's field or the token.

    Args:
        status: HTTP status.
        headers: names in any case.
        body: without content encoding; empty when it could not be read.
        sent: how many messages the request held.
        now: aware, for a ``Retry-After`` that is a date.

    Source: domain facts 3.4 to 3.6, and the shapes of issue 62 of Adobe's own connector.
    """
    wait_s = retry_after_s(headers, now)
    if status in _SUCCESS:
        return _read_verdicts(status, body, sent, wait_s)
    if status in _SETUP_FAULTS or status in _REDIRECTION:
        what, mend = _SETUP_FAULTS.get(status, _REDIRECT)
        return SetupFault(f"Experience Platform answered {status}: {what}.", mend, status)
    if status in _TOKEN_REFUSED:
        return TokenRefused(status)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Away("throttled", wait_s, status)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError(status, _sentence(_document(body), status))
    if status in _REFUSAL and status not in _OF_THE_MOMENT:
        return RequestRefused(_refused(_document(body), status))
    return Away("unavailable", wait_s, status, may_have_arrived=True)


_REDIRECT = (
    "it redirects, and credentials are not sent to another address",
    "Set experience_platform.endpoint to the address that the organisation's inlet names.",
)
_INLET = "Check experience_platform.endpoint and the target's inlet_id (`processor check`)."
_SETUP_FAULTS: dict[int, tuple[str, str]] = {
    HTTPStatus.NOT_FOUND: ("it does not know the inlet", _INLET),
    HTTPStatus.METHOD_NOT_ALLOWED: ("the address does not take messages", _INLET),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: (
        "the proxy wants credentials",
        "Put them into experience_platform.proxy.",
    ),
    HTTPStatus.GONE: ("the inlet is gone", _INLET),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "it does not take the form of the body",
        'Set delivery.compression = "none".',
    ),
    HTTPStatus.NOT_IMPLEMENTED: ("the inlet's location does not support the request", _INLET),
}


def _read_verdicts(status: int, body: bytes, sent: int, wait_s: float | None) -> Answer:
    document = _document(body)
    items = document.get("responses") if document else None
    if not isinstance(items, list):
        return Unreadable("it has no list of responses", status)
    if len(items) != sent:
        return Unreadable(f"it has {len(items)} responses for {sent} messages", status)
    verdicts: list[Verdict] = []
    for item in items:
        verdict = _verdict(item, wait_s)
        if verdict is None:
            return Unreadable("a response says neither accepted nor why not", status)
        verdicts.append(verdict)
    ids = [item.get("xactionId") for item in items]
    batch_id = document.get("batchId") if document else None
    if contradicts_positions(ids, batch_id):
        return Unreadable("its ids stand in another order than the messages", status)
    again = [verdict.status for verdict in verdicts if isinstance(verdict, Again)]
    if len(again) == sent and _TOKEN_REFUSED.issuperset(again):
        return TokenRefused(min(again))
    return Settled(tuple(verdicts), status)


def _verdict(item: object, wait_s: float | None) -> Verdict | None:
    """The verdict of one response; `None` when it has none that can be trusted."""
    if not isinstance(item, dict):
        return None
    given = [value for key in _STATUS_KEYS if (value := item.get(key)) is not None]
    if not given:
        return _accepted(item)
    statuses = [_status(value) for value in given]
    if None in statuses:
        return None
    # Where the two keys differ, the failure counts.
    status = max(s for s in statuses if s is not None)
    if status in _SUCCESS:
        return _accepted(item)
    if status in _OF_THE_MOMENT or status in _TOKEN_REFUSED or status in _FAILURE:
        return Again(status, wait_s)
    return Rejected(_refused(item, status)) if status in _REFUSAL else None


def _accepted(item: Mapping[str, Any]) -> Accepted | None:
    """Without an id nobody could find the message again: that is no acceptance."""
    xaction_id = _xaction_id(item)
    return None if xaction_id is None else Accepted(xaction_id)


def _status(value: object) -> int | None:
    """An HTTP status given as a number or as text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return int(text) if _STATUS_TEXT.fullmatch(text) else None


def _xaction_id(item: object) -> str | None:
    value = item.get("xactionId") if isinstance(item, dict) else None
    text = value.strip() if isinstance(value, str) else ""
    return text[:MAX_XACTION_ID_CHARACTERS] if text and text.isprintable() else None


def _refused(document: Mapping[str, Any] | None, status: int) -> Refused:
    """The refusal of one message, or of a request, with violations but without values."""
    violations = tuple(_violations(document))
    pointer = adobe_words.generalised(violations[0].pointer_to_violation) if violations else ""
    too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Refused(
        _sentence(document, status),
        code=Code.DELIVERY_TOO_LARGE if too_large else Code.DELIVERY_REFUSED,
        pointer=pointer,
        violations=violations,
        http_status=status,
        xaction_id=_xaction_id(document),
    )


def _sentence(document: Mapping[str, Any] | None, status: int) -> str:
    what = ""
    if document:
        report = document.get("report")
        texts = [document.get("message"), document.get("title")]
        if isinstance(report, dict):
            texts.insert(0, report.get("message"))
        what = next((safe for text in texts if (safe := adobe_words.without_values(text))), "")
    return (
        f"Experience Platform answered {status}: {what}."
        if what
        else (f"Experience Platform answered {status} without a reason that can be shown.")
    )


def _violations(document: Mapping[str, Any] | None) -> Iterator[Violation]:
    """The leaves of ``report.cause._streamingValidation``, at most five."""
    report = document.get("report") if document else None
    cause = report.get("cause") if isinstance(report, dict) else None
    found = cause.get("_streamingValidation") if isinstance(cause, dict) else None
    open_nodes = [(node, 0) for node in reversed(found)] if isinstance(found, list) else []
    count = 0
    while open_nodes and count < adobe_words.MAX_VIOLATIONS:
        node, depth = open_nodes.pop()
        if not isinstance(node, dict):
            continue
        causes = node.get("causingExceptions")
        if isinstance(causes, list) and causes and depth < _MAX_DEPTH:
            open_nodes.extend((child, depth + 1) for child in reversed(causes))
            continue
        keyword = node.get("keyword")
        yield Violation(
            keyword=adobe_words.safe_key(keyword) if isinstance(keyword, str) else "",
            message=adobe_words.without_values(node.get("message"))
            or "breaks a rule of the schema",
            pointer_to_violation=adobe_words.safe_pointer(node.get("pointerToViolation")),
            schema_location=adobe_words.safe_pointer(node.get("schemaLocation")),
        )
        count += 1


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
