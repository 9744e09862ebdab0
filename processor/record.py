"""The shapes a record takes on its way: record, event, message. Payloads stay out of every repr."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Headers = Sequence[tuple[str, bytes | None]]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class Position(NamedTuple):
    """Where a record stands in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


@dataclass(slots=True, eq=False)
class Record:
    """Bytes from Kafka with their coordinates.

    Attributes:
        timestamp_ms: Kafka's timestamp in milliseconds since the epoch, `None` when it has none.
        headers: in order, names may repeat, values may be `None` or binary.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None = None
    key: bytes | None = field(default=None, repr=False)
    value: bytes | None = field(default=None, repr=False)
    headers: Headers = field(default=(), repr=False)

    @property
    def position(self) -> Position:
        """The record's coordinates."""
        return Position(self.topic, self.partition, self.offset)

    @property
    def size_bytes(self) -> int:
        """Bytes of key and value, the part that memory limits count."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(slots=True, eq=False)
class Event:
    """A decoded Capillary event.

    Attributes:
        name: as Capillary spells it, such as ``pointsIssued``; it is the name of a folder in
            ``schemas/``.
        body: the flat envelope (``eventName``, ``eventId``, ``orgId``, ``createdAt``, ``data`` …)
            as the folder's Avro schema describes it; logical types raw (long, int, bytes, str).
        schema_id: how the writer's schema is known: the registry's id as text, a GUID, a CRC-64
            fingerprint in hexadecimal, or ``""`` for JSON.
    """

    name: str
    body: Mapping[str, Any] = field(repr=False)
    schema_id: str = ""

    @property
    def event_id(self) -> str | None:
        """Capillary's ``eventId``; `None` when the event has none or a blank one."""
        value = self.body.get("eventId")
        return value if isinstance(value, str) and value.strip() else None


@dataclass(slots=True, eq=False)
class Message:
    """The XDM envelope of one entity for one target, encoded once.

    Attributes:
        target: name of the target, such as ``event`` or ``loyalty``.
        index: position among the messages that one event gives for this target, from 0.
        id: the entity's ``_id``.
        body: the whole message (``{"header": …, "body": …}``) as UTF-8 JSON.
        order_key: messages with the same key are sent one after the other; `None`: no order.
    """

    target: str
    index: int
    id: str
    body: bytes = field(repr=False)
    order_key: bytes | None = field(default=None, repr=False)
