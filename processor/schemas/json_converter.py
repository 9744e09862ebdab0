"""JSON text to Capillary's flat envelope, whichever of its four wrappings it came in."""

from typing import Any

import orjson

from processor.errors import Code, Refused
from processor.schemas import limits


def envelope(text: bytes) -> dict[str, Any]:
    """Read JSON and take Capillary's wrapping off.

    Capillary documents the flat form and three wrappings: ``attributes``, ``data.data`` and
    ``event.body``. In ``attributes`` the ``eventId`` stands outside; wherever it does, and none
    stands inside, it is put in. Strict JSON: no NaN, no lone surrogate, no byte that is not UTF-8,
    nested at most 1,024 deep; of a repeated key the last counts.

    Raises:
        Refused: ``decode.json``, ``decode.utf8``, ``decode.limit``; ``event.invalid`` when no
            ``eventName`` stands where Capillary puts it.

    Source: domain facts 2.3.
    """
    document = _parse(text)
    if not isinstance(document, dict):
        raise Refused("The value is JSON, but not an object.", code=Code.DECODE_JSON)
    if document.get("eventName") is not None:
        return document
    event = _object(document, "event")
    for inside, outside in (
        (_object(document, "attributes"), document),
        (_object(document, "data"), document),
        (_object(event, "body"), {**document, **event}),
    ):
        if inside.get("eventName") is not None:
            return _with_event_id(inside, outside)
    raise Refused(
        "The event has no eventName, neither at its root nor in attributes, data or event.body.",
        code=Code.EVENT_INVALID,
        pointer="/eventName",
    )


def _with_event_id(inside: dict[str, Any], outside: dict[str, Any]) -> dict[str, Any]:
    """What a wrapping holds, with the wrapping's own ``eventId`` where it has none.

    A blank one counts as none: every event that carries it would be dropped as a repeat.
    """
    own, given = inside.get("eventId"), outside.get("eventId")
    if given is None or not (own is None or (isinstance(own, str) and not own.strip())):
        return inside
    return {**inside, "eventId": given}


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
