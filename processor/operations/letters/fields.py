"""The fields of a dead letter as lists and exports have them; quick to import."""

from datetime import UTC, datetime
from typing import Any

from processor.kafka.letter import Letter
from processor.operations.letters.find import Found
from processor.operations.masking import shown_key, size_and_hash


def fields_of(
    found: Found, *, reveal: bool = False, resolution: str | None = None
) -> dict[str, Any]:
    """The fields of ``processor dlq list --json``; the key is masked unless it is revealed.

    Args:
        found: the letter.
        reveal: show the key.
        resolution: what was done about it; `None`: nothing.
    """
    letter, place = found.letter, found.position
    return {
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "timestamp": rfc3339(found.timestamp_ms),
        "source_topic": letter.source.topic,
        "source_partition": letter.source.partition,
        "source_offset": letter.source.offset,
        "source_timestamp": rfc3339(letter.source_timestamp_ms),
        "key": shown_key(letter.key, reveal=reveal),
        "event_id": letter.event_id,
        "event_name": letter.event_name,
        "schema_id": letter.schema_id,
        "stage": letter.stage.value,
        "code": letter.code.value,
        "message": letter.message,
        "fingerprint": letter.fingerprint,
        "targets": list(letter.targets),
        "attempts": letter.attempts,
        "http_status": letter.http_status,
        "replay_count": letter.replay_count,
        "resolution": resolution,
        "connector": letter.connector,
    }


def more_of(letter: Letter) -> dict[str, Any]:
    """What the headers say beyond the fields of a list."""
    return {
        "failed_at": letter.failed_at,
        "replay_id": letter.replay_id,
        "task_id": letter.task_id,
        "xaction_id": letter.xaction_id,
        "class_name": letter.class_name,
        "exception_class_name": letter.exception_class_name,
        "version": letter.version,
        "errors": [violation.as_adobe() for violation in letter.errors],
        "stacktrace": letter.stacktrace,
    }


def header_shown(name: str, content: bytes | None, *, reveal: bool) -> dict[str, Any]:
    """A header of the record's own: its name, size and hash; the value too when it is revealed."""
    header = {"name": name, **size_and_hash(content)}
    if reveal:
        header["value"] = shown_key(content, reveal=True)
    return header


def rfc3339(timestamp_ms: int | None) -> str | None:
    """A Kafka timestamp in UTC, to the millisecond; `None` where a calendar has no such day."""
    if timestamp_ms is None:
        return None
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
