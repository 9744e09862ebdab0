"""What the connector's state topic holds: small JSON documents by key.

A key is UTF-8, ``<kind>/<rest>``, such as ``hold/<worker>/<task>/<kind id>``. A value is a JSON
object with its ``format``; none (a tombstone) deletes. Version N reads formats N and N-1, so two
versions can work side by side while one is replaced by the other; what it cannot read it leaves
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from processor.record import Record

FORMAT = 1
READABLE = frozenset({FORMAT - 1, FORMAT}) - {0}

Document = Mapping[str, Any]
"""What an entry says: a JSON object, without its format."""


class Unreadable(Exception):
    """Not ours, broken, or of a version that this one does not read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the state topic.

    Attributes:
        document: what it says; `None` when it deletes the key.
        timestamp_ms: when the broker took it, by the broker's clock; milliseconds since 1970.
    """

    key: str
    document: Document | None
    offset: int
    timestamp_ms: int


def encode(document: Document | None) -> bytes | None:
    """The value of a document, with the format that this version writes."""
    return None if document is None else orjson.dumps({"format": FORMAT, **document})


def entry_of(record: Record) -> Entry:
    """The entry of a record of the state topic.

    Raises:
        Unreadable: see there. Its text names no value.
    """
    key = key_of(record)
    if key is None or "/" not in key:
        raise Unreadable("its key is not <kind>/<rest>")
    timestamp_ms = record.timestamp_ms or 0
    if record.value is None:
        return Entry(key, None, record.offset, timestamp_ms)
    try:
        document = orjson.loads(record.value)
    except orjson.JSONDecodeError as error:
        raise Unreadable("its value is not JSON") from error
    if not isinstance(document, dict):
        raise Unreadable("its value is not a JSON object")
    found = document.pop("format", None)
    if type(found) is not int or found not in READABLE:
        raise Unreadable("its format is of another version")
    return Entry(key, document, record.offset, timestamp_ms)


def key_of(record: Record) -> str | None:
    """The key as text; `None` when it is none."""
    try:
        return record.key.decode() if record.key is not None else None
    except UnicodeDecodeError:
        return None
