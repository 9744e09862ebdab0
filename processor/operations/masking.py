"""What is shown in place of a customer's values; what is not known to be harmless is hidden."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from processor.operations.own_process import account
from processor.record import Event, Position
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

CLEAR = frozenset({"eventName", "eventId", "orgId", "createdAt"})
"""Fields of the envelope that say which event this is and nothing about a customer."""

SHORT_HASH_CHARACTERS = 8
HEX = "hex:"
_DIGEST = re.compile(r"[0-9a-f]{64}(-[0-9]+)?")


def size_and_hash(content: bytes | None) -> dict[str, Any]:
    """What is always safe to show of bytes: how many, and their SHA-256."""
    if content is None:
        return {"bytes": None, "sha256": None}
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def shown_key(key: bytes | None, *, reveal: bool) -> str | None:
    """A record's key for people.

    Masked it is its length and the start of its SHA-256: the same customer looks the same in every
    line, and nobody reads who it is. Revealed it is its text, or ``hex:`` and its bytes.
    """
    if key is None:
        return None
    if not reveal:
        digest = hashlib.sha256(key).hexdigest()[:SHORT_HASH_CHARACTERS]
        unit = "byte" if len(key) == 1 else "bytes"
        return f"sha256:{digest} ({len(key)} {unit})"
    try:
        return key.decode()
    except UnicodeDecodeError:
        return HEX + key.hex()


def shown_id(id_: str, event: Event | None, *, reveal: bool) -> str:
    """A message's ``_id`` for people.

    ``eventId`` and a digest say nothing about a customer; what else it may be made of can, so it is
    masked as a key is.
    """
    event_id = None if event is None else event.event_id
    known = event_id is not None and re.fullmatch(re.escape(event_id) + r"(-\d+)?", id_, re.ASCII)
    if reveal or known or _DIGEST.fullmatch(id_):
        return id_
    return shown_key(id_.encode("utf-8", "replace"), reveal=False) or ""


def key_bytes(text: str) -> bytes:
    """The key that an operator means: text, or ``hex:`` and bytes in hexadecimal.

    Raises:
        ValueError: what follows ``hex:`` is not hexadecimal.
    """
    return bytes.fromhex(text.removeprefix(HEX)) if text.startswith(HEX) else text.encode()


class Mask:
    """Hides every value of a document and keeps its shape.

    Args:
        names: names of fields that a schema gives; other names may themselves be a customer's, so
            they are hidden too.
        clear: top-level fields that are shown as they are, when they are text or a number.
    """

    def __init__(self, names: Collection[str], clear: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self._clear = frozenset(clear)

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with every value replaced by what kind of value it is."""
        return {
            name: value
            if name in self._clear and isinstance(value, str | int)
            else self._value(value)
            for name, value in self._fields(document)
        }

    def _value(self, value: Any) -> Any:
        match value:
            case None:
                return None
            case bool():
                return "<true or false>"
            case int() | float():
                return "<number>"
            case str():
                return f"<text, {len(value)} characters>"
            case bytes():
                return f"<{len(value)} bytes>"
            case Mapping():
                return {name: self._value(inner) for name, inner in self._fields(value)}
            case Sequence():
                return [self._value(inner) for inner in value]
            case _:
                return "<value>"

    def _fields(self, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for number, (name, value) in enumerate(fields.items(), start=1):
            shown = name if name in self._names else f"<name {number}, {len(name)} characters>"
            yield shown, value


def names_in_avro(schema: Any) -> set[str]:
    """Every field name of an Avro schema."""
    names: set[str] = set()
    for node in _nodes(schema):
        if node.get("type") == "record":
            names.update(field["name"] for field in node.get("fields", ()))
    return names


def names_in_json_schema(schema: Any) -> set[str]:
    """Every property name of a JSON Schema."""
    names: set[str] = set()
    for node in _nodes(schema):
        properties = node.get("properties")
        if isinstance(properties, Mapping):
            names.update(properties)
    return names


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def log_reveal(position: Position, *, who: str = "") -> None:
    """Write down who looked at a customer's values, and at which record.

    Args:
        position: the record's.
        who: empty: the account of this process.
    """
    log.warning("Customer values were revealed.", who=who or account(), record=str(position))


def log_export(count: int, topics: Sequence[str]) -> None:
    """Write down who took how many customers' records out of which topics."""
    log.warning(
        "Customer values were revealed in an export.", who=account(), letters=count, topics=topics
    )
