"""A dead letter: what its headers are called, how they are written and read back (pure).

Key, value and the record's own headers are byte-identical. Kafka Connect's headers and ours are
appended; readers take the last value of a name. Of a record that was read from our dead-letter
topic the added headers are replaced, and the coordinates stay those of the original record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from processor.errors import Code, Stage, Violation
from processor.record import Headers, Position, Record

CONNECT = "__connect.errors."
OURS = "processor."
STACKTRACE_BYTES = 4096
TRIMMED_TEXT = 200
"""Characters that a text of a trimmed letter keeps."""

TRIMMED_BYTES = 16_384
TOPIC, PARTITION, OFFSET = CONNECT + "topic", CONNECT + "partition", CONNECT + "offset"

LONGEST_NUMBER = 19
"""Digits of 2^63."""

_KIND = (OURS + "event.name", OURS + "schema.id", OURS + "targets")
_CODES = {code.value.encode(): code for code in Code}


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that could not be delivered, and its story.

    Attributes:
        source: coordinates of the original record.
        source_timestamp_ms: its own Kafka timestamp.
        headers: the record's own headers, without those that we add.
        targets: what failed, ``target`` or ``target#index``; empty: it failed before any target.
        attempts: requests made with its messages, at most.
        replay_count: how often it was replayed.
        failed_at: RFC 3339.
    """

    source: Position
    source_timestamp_ms: int | None
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    connector: str
    task_id: str
    code: Code
    class_name: str
    exception_class_name: str
    message: str
    stacktrace: str
    fingerprint: str
    targets: tuple[str, ...]
    event_id: str | None
    event_name: str | None
    schema_id: str | None
    attempts: int
    http_status: int | None
    xaction_id: str | None
    errors: tuple[Violation, ...]
    failed_at: str
    replay_id: str | None
    replay_count: int
    version: str

    @property
    def stage(self) -> Stage:
        """Kafka Connect's stage."""
        return self.code.stage

    def trimmed(self) -> "Letter":
        """The same letter with its long headers left out or cut; the body stays whole.

        Whatever the record holds, what we add is then below `TRIMMED_BYTES`. A long list of
        ``target#index`` becomes that of the targets: a replay sends more, with the same ids.
        """
        targets = self.targets
        if len(",".join(targets)) > TRIMMED_TEXT:
            targets = tuple(dict.fromkeys(name.partition("#")[0] for name in targets))
        return replace(
            self,
            stacktrace="",
            errors=(),
            message=self.message[:TRIMMED_TEXT],
            targets=targets,
            event_id=self.event_id[:TRIMMED_TEXT] if self.event_id is not None else None,
        )

    def all_headers(self) -> list[tuple[str, bytes | None]]:
        """The record's own headers, then Kafka Connect's, then ours; UTF-8."""
        added: dict[str, str | int | None] = {
            TOPIC: self.source.topic,
            PARTITION: self.source.partition,
            OFFSET: self.source.offset,
            CONNECT + "connector.name": self.connector,
            CONNECT + "task.id": self.task_id,
            CONNECT + "stage": self.stage,
            CONNECT + "class.name": self.class_name,
            CONNECT + "exception.class.name": self.exception_class_name,
            CONNECT + "exception.message": self.message,
            CONNECT + "exception.stacktrace": self.stacktrace,
            OURS + "code": self.code,
            OURS + "fingerprint": self.fingerprint,
            OURS + "targets": ",".join(self.targets),
            OURS + "event.id": self.event_id,
            OURS + "event.name": self.event_name,
            OURS + "schema.id": self.schema_id,
            OURS + "attempts": self.attempts,
            OURS + "http.status": self.http_status,
            OURS + "xaction.id": self.xaction_id,
            OURS + "errors": orjson.dumps([v.as_adobe() for v in self.errors]).decode(),
            OURS + "failed.at": self.failed_at,
            OURS + "source.timestamp": self.source_timestamp_ms,
            OURS + "replay.id": self.replay_id,
            OURS + "replay.count": self.replay_count,
            OURS + "version": self.version,
        }
        own = list(self.headers)
        own.extend(
            (k, str(v).encode("utf-8", "replace")) for k, v in added.items() if v is not None
        )
        return own


ADDED = frozenset(
    {
        TOPIC,
        PARTITION,
        OFFSET,
        CONNECT + "connector.name",
        CONNECT + "task.id",
        CONNECT + "stage",
        CONNECT + "class.name",
        CONNECT + "exception.class.name",
        CONNECT + "exception.message",
        CONNECT + "exception.stacktrace",
        OURS + "code",
        OURS + "fingerprint",
        OURS + "targets",
        OURS + "event.id",
        OURS + "event.name",
        OURS + "schema.id",
        OURS + "attempts",
        OURS + "http.status",
        OURS + "xaction.id",
        OURS + "errors",
        OURS + "failed.at",
        OURS + "source.timestamp",
        OURS + "replay.id",
        OURS + "replay.count",
        OURS + "version",
    }
)
"""Every header that we add; the record's other headers are its own."""


class Glance:
    """What a dead letter says of itself, each thing read from its headers when it is asked for.

    For whoever looks at a million letters and wants three things of each; the attributes are
    those of :class:`Letter`.
    """

    __slots__ = ("_added", "code", "key", "source")

    def __init__(
        self, added: Mapping[str, bytes | None], code: Code, key: bytes | None, source: Position
    ) -> None:
        self._added = added
        self.code = code
        self.key = key
        self.source = source

    @property
    def kind(self) -> tuple[bytes | None, ...]:
        """Event, schema and targets as they stand there: equal where all three are."""
        return tuple(map(self._added.get, _KIND))

    @property
    def stage(self) -> Stage:
        """Kafka Connect's stage."""
        return self.code.stage

    @property
    def connector(self) -> str:
        """Whose letter it is."""
        return _text(self._added, CONNECT + "connector.name") or ""

    @property
    def message(self) -> str:
        """Why it failed, as a sentence."""
        return _text(self._added, CONNECT + "exception.message") or ""

    @property
    def fingerprint(self) -> str:
        """The kind of failure."""
        return _text(self._added, OURS + "fingerprint") or ""

    @property
    def targets(self) -> tuple[str, ...]:
        """What failed."""
        text = _text(self._added, OURS + "targets")
        return tuple(filter(None, text.split(","))) if text else ()

    @property
    def event_name(self) -> str | None:
        """The event, as far as decoding came."""
        return _text(self._added, OURS + "event.name")

    @property
    def schema_id(self) -> str | None:
        """How the record names its writer's schema."""
        return _text(self._added, OURS + "schema.id")


def glance(record: Record) -> Glance | None:
    """Look at a record of a dead-letter topic; `None` exactly where :func:`read_letter` gives it.

    Only for records of a dead-letter topic: in any other topic these headers may be forged.
    """
    return _glance(record, _block(record))


def read_letter(record: Record) -> Letter | None:
    """Read a record of a dead-letter topic; `None` when its headers are not a dead letter's.

    Only for records of a dead-letter topic: in any other topic these headers may be forged.
    """
    start = _block(record)
    seen = _glance(record, start)
    if seen is None:
        return None
    last = dict(record.headers[start:])
    text = {
        name: value.decode("utf-8", "replace")
        for name, value in last.items()
        if name in ADDED and value is not None
    }
    return Letter(
        source=seen.source,
        source_timestamp_ms=_int(text.get(OURS + "source.timestamp")),
        key=record.key,
        value=record.value,
        headers=_own(record, start),
        connector=text.get(CONNECT + "connector.name", ""),
        task_id=text.get(CONNECT + "task.id", ""),
        code=seen.code,
        class_name=text.get(CONNECT + "class.name", ""),
        exception_class_name=text.get(CONNECT + "exception.class.name", ""),
        message=text.get(CONNECT + "exception.message", ""),
        stacktrace=text.get(CONNECT + "exception.stacktrace", ""),
        fingerprint=text.get(OURS + "fingerprint", ""),
        targets=tuple(filter(None, text.get(OURS + "targets", "").split(","))),
        event_id=text.get(OURS + "event.id"),
        event_name=text.get(OURS + "event.name"),
        schema_id=text.get(OURS + "schema.id"),
        attempts=_int(text.get(OURS + "attempts")) or 0,
        http_status=_int(text.get(OURS + "http.status")),
        xaction_id=text.get(OURS + "xaction.id"),
        errors=_violations(text.get(OURS + "errors", "[]")),
        failed_at=text.get(OURS + "failed.at", ""),
        replay_id=text.get(OURS + "replay.id"),
        replay_count=_int(text.get(OURS + "replay.count")) or 0,
        version=text.get(OURS + "version", ""),
    )


def own_headers(record: Record) -> Headers:
    """The headers of a dead letter that were the original record's, even under our names."""
    return _own(record, _block(record))


def _glance(record: Record, start: int) -> Glance | None:
    added = dict(record.headers[start:])
    code = _CODES.get(added.get(OURS + "code") or b"")
    topic = _text(added, TOPIC)
    partition, offset = _digits(added.get(PARTITION)), _digits(added.get(OFFSET))
    if code is None or topic is None or partition is None or offset is None:
        return None
    return Glance(added, code, record.key, Position(topic, partition, offset))


def _own(record: Record, start: int) -> Headers:
    later = [header for header in record.headers[start:] if header[0] not in ADDED]
    return [*record.headers[:start], *later]


def _block(record: Record) -> int:
    """Where our headers begin: at the last of the name that we write first."""
    headers = record.headers
    first = next((i for i, header in enumerate(headers) if header[0] == TOPIC), len(headers))
    if len(dict(headers[first:])) == len(headers) - first:  # no name twice, so this is the last
        return first
    return max(i for i, header in enumerate(headers) if header[0] == TOPIC)


def _text(headers: Mapping[str, bytes | None], name: str) -> str | None:
    content = headers.get(name)
    return None if content is None else content.decode("utf-8", "replace")


def now_rfc3339() -> str:
    """The time now, in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _int(text: str | None) -> int | None:
    """A number as we write it; `None` for anything else that a header may hold."""
    return None if text is None else _digits(text.encode())


def _digits(content: bytes | None) -> int | None:
    """Likewise of a header's bytes."""
    if content is None or not content.isdigit() or len(content) > LONGEST_NUMBER:
        return None
    return int(content)


def _violations(text: str) -> tuple[Violation, ...]:
    try:
        rows: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    if not isinstance(rows, Sequence):
        return ()
    names = ("keyword", "message", "pointerToViolation", "schemaLocation")
    return tuple(
        Violation(*(str(r.get(n, "")) for n in names)) for r in rows if isinstance(r, dict)
    )
