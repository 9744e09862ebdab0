"""A dead letter for people and programs: the fields of a list, and everything about one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from processor.connector.passage import Failure, Parcel
from processor.errors import Misconfigured, Refused
from processor.kafka.letter import Letter, read_letter
from processor.operations.bounds import TopicChoice, partitions_of
from processor.operations.letters import Found, is_letter_topic, one, story_of
from processor.operations.masking import (
    CLEAR,
    Mask,
    log_reveal,
    names_in_avro,
    names_in_json_schema,
    shown_id,
    shown_key,
    size_and_hash,
)
from processor.operations.reading import Reader
from processor.operations.rehearsal import Rehearsal, Rehearsed, rehearsing
from processor.record import Position, Record
from processor.settings import Settings

IDENTITY_NAMES = frozenset({"id", "primary", "authenticatedState", "identityMap", "_id"})


def fields_of(found: Found, *, reveal: bool = False) -> dict[str, Any]:
    """The fields of ``processor dlq list --json``; the key is masked unless it is revealed."""
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
        "resolution": None,
        "connector": letter.connector,
    }


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything about one dead letter, masked or revealed.

    Attributes:
        fields: those of a list, and more from the headers.
        headers: the record's own.
        value: size and hash; ``hex`` too when it is revealed.
        event: decoded with today's schemas; `None` when that failed.
        today: what each target's mapping and gate make of it today.
    """

    fields: dict[str, Any]
    headers: list[dict[str, Any]]
    value: dict[str, Any]
    event: dict[str, Any] | None
    today: list[dict[str, Any]]

    def document(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            **self.fields,
            "headers": self.headers,
            "value": self.value,
            "event": self.event,
            "today": self.today,
        }


async def look(settings: Settings, place: Position, *, all_connectors: bool, reveal: bool) -> Shown:
    """Everything about the dead letter at these coordinates; a reveal is logged first.

    Raises:
        Misconfigured: no dead letter of this connector stands there, or the schemas are wrong.
        TryAgain: Kafka or the schema registry does not answer.
    """
    if not is_letter_topic(settings, place.topic):
        raise Misconfigured(
            f"{place.topic} is no dead-letter topic of this connector.",
            mend=f"That of {place.topic} is {settings.dead_letter_topic(place.topic)}.",
        )
    reader = Reader(settings)
    partition = TopicChoice(place.topic, (place.partition,))
    partitions_of([partition], reader.topics())
    record = one(reader, place)
    letter = None if record is None else read_letter(record)
    if record is None or letter is None:
        raise Misconfigured(f"No dead letter stands at {place}.")
    if not all_connectors and letter.connector != settings.name:
        raise Misconfigured(
            f"The dead letter at {place} is another connector's.", mend="Add --all-connectors."
        )
    if reveal:
        log_reveal(place)
    async with rehearsing(settings) as rehearsal:
        return await show(record, letter, settings, rehearsal, reveal=reveal)


async def show(
    record: Record, letter: Letter, settings: Settings, rehearsal: Rehearsal, *, reveal: bool
) -> Shown:
    """Everything about one dead letter, the letter read from the record.

    What cannot be decoded is shown by size and hash alone, unless it is revealed.

    Raises:
        TryAgain: the schema registry does not answer.
        Misconfigured: it refuses us, or the record needs one and none is configured.
    """
    found = Found(record.position, record.timestamp_ms, letter)
    rehearsed = await rehearsal.rehearse(record, story_of(letter))
    value = size_and_hash(record.value)
    if reveal:
        value["hex"] = record.value.hex() if record.value is not None else None
    return Shown(
        {**fields_of(found, reveal=reveal), **more_of(letter)},
        [header_shown(name, content, reveal=reveal) for name, content in letter.headers],
        value,
        event_shown(rehearsed, rehearsal, reveal=reveal),
        today_shown(rehearsed, rehearsal, settings, reveal=reveal),
    )


def rfc3339(timestamp_ms: int | None) -> str | None:
    """A Kafka timestamp in UTC, to the millisecond; `None` where a calendar has no such day."""
    if timestamp_ms is None:
        return None
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def more_of(letter: Letter) -> dict[str, Any]:
    """What a letter's headers tell beyond the fields of a list."""
    return {
        "failed_at": letter.failed_at,
        "replay_id": letter.replay_id,
        "task_id": letter.task_id,
        "xaction_id": letter.xaction_id,
        "exception_class_name": letter.exception_class_name,
        "version": letter.version,
        "errors": [violation.as_adobe() for violation in letter.errors],
    }


def header_shown(name: str, content: bytes | None, *, reveal: bool) -> dict[str, Any]:
    """A header of the record's own by name, size and hash; its value when it is revealed."""
    header = {"name": name, **size_and_hash(content)}
    if reveal:
        header["value"] = shown_key(content, reveal=True)
    return header


def event_shown(
    rehearsed: Rehearsed, rehearsal: Rehearsal, *, reveal: bool
) -> dict[str, Any] | None:
    """The decoded event, masked or revealed; `None` when it could not be decoded."""
    event = rehearsed.event
    if event is None:
        return None
    if reveal:
        return dict(event.body)
    schema = rehearsal.shapes.folder.events[event.name].avro
    return Mask(names_in_avro(schema), CLEAR).document(event.body)


def today_shown(
    rehearsed: Rehearsed, rehearsal: Rehearsal, settings: Settings, *, reveal: bool
) -> list[dict[str, Any]]:
    """What each target's mapping and gate make of it, masked or revealed."""
    if rehearsed.filtered is not None:
        return [{"target": None, "verdict": "filtered", "reason": rehearsed.filtered.value}]
    passing = [
        _passing(p, rehearsed, rehearsal, settings, reveal=reveal) for p in rehearsed.parcels
    ]
    return passing + [_failing(failure) for failure in rehearsed.passage.failures]


def _passing(
    parcel: Parcel,
    rehearsed: Rehearsed,
    rehearsal: Rehearsal,
    settings: Settings,
    *,
    reveal: bool,
) -> dict[str, Any]:
    target = parcel.message.target
    entity: Mapping[str, Any] = orjson.loads(parcel.message.body)["body"]["xdmEntity"]
    size = len(orjson.dumps(entity))
    if not reveal:
        platform = settings.experience_platform
        schema = rehearsal.shapes.folder.xdm_schema(target, platform.targets[target])
        identity = settings.identity
        namespaces = {identity.primary, identity.email, identity.phone, identity.external_id}
        names = names_in_json_schema(schema.document) | IDENTITY_NAMES | namespaces
        entity = Mask({*names, f"_{platform.tenant}"}).document(entity)
    return {
        "target": parcel.name,
        "verdict": "passes",
        "id": shown_id(parcel.message.id, rehearsed.event, reveal=reveal),
        "bytes": size,
        "limit_bytes": rehearsal.shapes.routes[target].gate.limit_bytes,
        "message_bytes": len(parcel.message.body),
        "entity": entity,
    }


def _failing(failure: Failure) -> dict[str, Any]:
    error: Refused = failure.error
    return {
        "target": failure.target or None,
        "verdict": "fails",
        "code": error.code.value,
        "message": str(error),
        "errors": [violation.as_adobe() for violation in error.violations],
    }
