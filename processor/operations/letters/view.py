"""Everything about one dead letter: its story, its bytes, the event, and the mapping today."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from processor.connector.passage import Failure, Parcel
from processor.errors import Misconfigured, Refused
from processor.kafka.letter import Letter, read_letter
from processor.operations.bounds import TopicChoice, partitions_of
from processor.operations.letters.events import EventMask
from processor.operations.letters.fields import fields_of, header_shown, more_of
from processor.operations.letters.find import Found, is_letter_topic, one, story_of
from processor.operations.masking import (
    Mask,
    log_reveal,
    names_in_json_schema,
    shown_id,
    size_and_hash,
)
from processor.operations.reading import Reader
from processor.operations.rehearsal import Rehearsal, Rehearsed, rehearsing
from processor.record import Position, Record
from processor.settings import Settings

IDENTITY_NAMES = frozenset({"id", "primary", "authenticatedState", "identityMap", "_id"})


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


async def look(
    settings: Settings, place: Position, *, all_connectors: bool, reveal: bool, who: str = ""
) -> Shown:
    """Everything about the dead letter at these coordinates; a reveal is logged first.

    Args:
        settings: the connector's.
        place: where it stands.
        all_connectors: another connector's too.
        reveal: show customers' values.
        who: looks at it; empty: the account of this process.

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
        log_reveal(place, who=who)
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


def event_shown(
    rehearsed: Rehearsed, rehearsal: Rehearsal, *, reveal: bool
) -> dict[str, Any] | None:
    """The decoded event, masked or revealed; `None` when it could not be decoded."""
    return EventMask(rehearsal.shapes.folder).shown(rehearsed.event, reveal=reveal)


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
