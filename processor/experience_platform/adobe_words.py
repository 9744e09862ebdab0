"""The sentences in which Experience Platform names a violation, without the values it quotes.

Its validator says ``expected type: String, found: Long`` and ``[x] is not a valid date-time``.
The gate speaks the same words, so that one search finds both. What comes back from Experience
Platform is let through only where it is one of these sentences: the rest may quote a customer's
field, or echo the token.

Source: AEP's pages on streaming validation, on failed batches and on multiple messages.
"""

import re
from collections.abc import Iterable, Sequence

MAX_VIOLATIONS = 5
"""Experience Platform stops after five per message."""

_SAFE_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_:.$-]{0,63}")
_INDEX = re.compile(r"[0-9]{1,9}")
_MAX_DEPTH = 32

_DATE_TIME_FORMS = (
    "[yyyy-MM-dd'T'HH:mm:ssZ, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,9}Z, "
    "yyyy-MM-dd'T'HH:mm:ss[+-]HH:mm, yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,9}[+-]HH:mm]"
)

_TYPES = {
    "string": "String",
    "number": "Number",
    "integer": "Integer",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
    "null": "Null",
}

_WHOLE_SENTENCE = re.compile(
    r"(?:#[^ ]*: )?("
    r"extraneous key \[[A-Za-z_$][A-Za-z0-9_:.$-]{0,63}\] is not permitted"
    r"|required key \[[A-Za-z_$][A-Za-z0-9_:.$-]{0,63}\] not found"
    r"|expected type: [A-Za-z]{1,16}, found: [A-Za-z]{1,16}"
    r"|expected (?:minLength|maxLength): [0-9]{1,9}, actual: [0-9]{1,9}"
    r"|expected (?:minimum|maximum) item count: [0-9]{1,9}, found: [0-9]{1,9}"
    r"|[0-9]{1,6} schema violations found"
    r")"
)

_PHRASES = (
    (re.compile(r"is not a valid (date-time|date|time|email|uri|hostname)\b"), "not a valid {}"),
    (re.compile(r"is not a valid enum value"), "not a valid enum value"),
    (re.compile(r"does not match pattern"), "does not match the pattern"),
    (re.compile(r"is not (greater|less) (or equal to|than)"), "is not {} {} the limit"),
    (re.compile(r"array items are not unique"), "array items are not unique"),
    (re.compile(r"unknown xdm format", re.IGNORECASE), "Message has unknown xdm format"),
    (
        re.compile(r"absent or wrong ims org", re.IGNORECASE),
        "Message has an absent or wrong ims org in the header",
    ),
    (
        re.compile(r"The '(header|body|xdmMeta|xdmEntity|schemaRef)' field is mandatory"),
        "The '{}' field is mandatory",
    ),
    (re.compile(r"service token is empty", re.IGNORECASE), "Ims service token is empty"),
    (re.compile(r"\b((?:DCVS|INGEST|MAPPER|CONNECTOR)-[0-9]{4}-[0-9]{3})\b"), "{}"),
    (re.compile(r"message is invalid", re.IGNORECASE), "Message is invalid"),
    (re.compile(r"invalid xdm message format", re.IGNORECASE), "Invalid XDM Message Format"),
)


def without_values(sentence: object) -> str:
    """Keep a sentence of Experience Platform only where it is known to quote nothing.

    Args:
        sentence: whatever stood under ``message`` or ``title``.

    Returns:
        The sentence, or its fixed part; ``""`` for anything unknown or not text.
    """
    if not isinstance(sentence, str):
        return ""
    text = sentence[:4096].strip()
    whole = _WHOLE_SENTENCE.fullmatch(text)
    if whole:
        return whole[1]
    for pattern, template in _PHRASES:
        found = pattern.search(text)
        if found:
            return template.format(*found.groups())
    return ""


def safe_key(key: str) -> str:
    """Keep a key that looks like a field's name; any other may be customer data: ``*``."""
    return key if _SAFE_KEY.fullmatch(key) else "*"


def pointer_of(path: Iterable[str | int]) -> str:
    """Write a path as a JSON pointer: ``#/loyalty/pointsGained/0/value``, ``#`` for the whole."""
    return "#" + "".join(
        f"/{step}" if isinstance(step, int) else "/" + safe_key(step) for step in path
    )


def safe_pointer(pointer: object) -> str:
    """Keep a JSON pointer of Experience Platform, with ``*`` for what is not a field's name."""
    if not isinstance(pointer, str) or not pointer.startswith(("#", "/")):
        return "#"
    steps = pointer.removeprefix("#").split("/")[1 : _MAX_DEPTH + 1]
    return "#" + "".join(
        "/" + (step if _INDEX.fullmatch(step) else safe_key(step)) for step in steps
    )


def generalised(pointer: str) -> str:
    """Make a pointer fit for a fingerprint: no ``#``, and ``*`` for array positions.

    ``#/loyalty/pointsGained/0/value`` becomes ``/loyalty/pointsGained/*/value``; ``#`` becomes
    ``""``, the whole record.
    """
    steps = pointer.removeprefix("#").split("/")[1:]
    return "".join("/" + ("*" if _INDEX.fullmatch(step) else step) for step in steps)


def wrong_type(expected: Sequence[str], found: object) -> str:
    """``expected type: String, found: Long``; `expected` in JSON Schema's spelling."""
    wanted = " or ".join(_TYPES.get(name, name) for name in sorted(expected))
    return f"expected type: {wanted}, found: {_kind_of(found)}"


def extraneous_key(key: str) -> str:
    """``extraneous key [workEmail] is not permitted``."""
    return f"extraneous key [{safe_key(key)}] is not permitted"


def missing_key(key: str) -> str:
    """``required key [timestamp] not found``."""
    return f"required key [{key}] not found"


def wrong_format(name: str) -> str:
    """``not a valid date-time. Expected [...]``."""
    if name == "date-time":
        return f"not a valid date-time. Expected {_DATE_TIME_FORMS}"
    return f"not a valid {name}"


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "Boolean"
    kinds: tuple[tuple[type, str], ...] = (
        (str, "String"),
        (int, "Long"),
        (float, "Double"),
        (list, "JSONArray"),
        (dict, "JSONObject"),
    )
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    return "Null"
