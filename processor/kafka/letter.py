"""A dead letter: what its headers are called, how they are written and read back (pure).

Key, value and the record's own headers are byte-identical. Kafka Connect's headers and ours are
appended; readers take the last value of a name. Of a record that was read from our dead-letter
topic the added headers are replaced, and the coordinates stay those of the original record.
"""

import re
from collections.abc import Sequence
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

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


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


def read_letter(record: Record) -> Letter | None:
    """Read a record of a dead-letter topic; `None` when its headers are not a dead letter's.

    Only for records of a dead-letter topic: in any other topic these headers may be forged.
    """
    added = record.headers[_block(record) :]
    last = {name: value for name, value in added if name in ADDED}
    text = {
        name: value.decode("utf-8", "replace") for name, value in last.items() if value is not None
    }
    code = text.get(OURS + "code")
    topic, partition, offset = text.get(TOPIC), _int(text.get(PARTITION)), _int(text.get(OFFSET))
    if code not in set(Code) or topic is None or partition is None or offset is None:
        return None
    return Letter(
        source=Position(topic, partition, offset),
        source_timestamp_ms=_int(text.get(OURS + "source.timestamp")),
        key=record.key,
        value=record.value,
        headers=own_headers(record),
        connector=text.get(CONNECT + "connector.name", ""),
        task_id=text.get(CONNECT + "task.id", ""),
        code=Code(code),
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
    start = _block(record)
    later = [header for header in record.headers[start:] if header[0] not in ADDED]
    return [*record.headers[:start], *later]


def _block(record: Record) -> int:
    """Where our headers begin: at the last of the name that we write first."""
    names = [name for name, _ in record.headers]
    return len(names) - 1 - names[::-1].index(TOPIC) if TOPIC in names else len(names)


def now_rfc3339() -> str:
    """The time now, in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _int(text: str | None) -> int | None:
    """A number as we write it; `None` for anything else that a header may hold."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


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
