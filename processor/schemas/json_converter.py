"""JSON text to Capillary's flat envelope, whichever of its four wrappings it came in."""

from typing import Any

import orjson

from processor.errors import Code, Refused
from processor.schemas import limits


def envelope(text: bytes) -> dict[str, Any]:
    """Read JSON and take Capillary's wrapping off.

    Capillary documents the flat form and three wrappings: ``attributes`` (where ``eventId`` stands
    outside), ``data.data`` and ``event.body``. Strict JSON: no NaN, no lone surrogate, no byte
    that is not UTF-8, nested at most 1,024 deep; of a repeated key the last counts.

    Raises:
        Refused: ``decode.json``, ``decode.utf8``, ``decode.limit``; ``event.invalid`` when no
            ``eventName`` stands where Capillary puts it.
    """
    document = _parse(text)
    if not isinstance(document, dict):
        raise Refused("The value is JSON, but not an object.", code=Code.DECODE_JSON)
    if "eventName" in document:
        return document
    attributes, data = _object(document, "attributes"), _object(document, "data")
    if "eventName" in attributes:
        outside = {"eventId": document["eventId"]} if "eventId" in document else {}
        return {**outside, **attributes}
    if "eventName" in data:
        return data
    body = _object(_object(document, "event"), "body")
    if "eventName" in body:
        return body
    raise Refused(
        "The event has no eventName, neither at its root nor in attributes, data or event.body.",
        code=Code.EVENT_INVALID,
        pointer="/eventName",
    )


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _parse(text: bytes) -> Any:
    if len(text) > limits.PAYLOAD_MAX_BYTES:
        raise Refused(
            f"The value has {len(text)} bytes; {limits.PAYLOAD_MAX_BYTES} are the limit.",
            code=Code.DECODE_LIMIT,
        )
    if len(text) > limits.JSON_TOKENS_MAX and _tokens(text) > limits.JSON_TOKENS_MAX:
        raise Refused(
            f"The value has more than {limits.JSON_TOKENS_MAX} JSON values.",
            code=Code.DECODE_LIMIT,
        )
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place, message = f"line {error.lineno}, column {error.colno}", error.msg
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Refused("The value is not UTF-8.", code=Code.DECODE_UTF8) from None
    raise Refused(f"The value is not JSON: {message} ({place}).", code=Code.DECODE_JSON)


def _tokens(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")
