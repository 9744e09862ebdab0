"""A record to an event: which schema wrote it, which event it is, and whether it is ours."""

import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from processor.errors import Code, Filtered, FilterReason, Misconfigured, Refused
from processor.record import Event, Record
from processor.schemas.avro import WriterSchema, again
from processor.schemas.avro_types import unqualified
from processor.schemas.catalogue import PAYLOAD_NAMES, is_documented
from processor.schemas.folder import EventSchema, SchemaFolder
from processor.schemas.json_converter import envelope
from processor.schemas.wire import Fingerprinted, Json, Registered, SchemaKey, unframe
from processor.settings import CapillarySettings, ConverterSettings

_KNOWN_MAX = 2_000
"""Writer schemas kept; a topic has a handful, so only nonsense ids come near this."""

_UNKNOWN_ID_S = 60.0
"""How long an id stays refused that the registry did not have: someone may register it yet."""

_PRINTABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class SchemaMissing(Exception):
    """The writer's schema is not here yet: fetch it, hand it to ``Decoder.learn``, decode again.

    Attributes:
        key: its name in the registry.
    """

    def __init__(self, key: SchemaKey) -> None:
        super().__init__(f"The writer schema {key} is not known yet.")
        self.key = key


class RegistryMissing(Misconfigured):
    """The record names a schema of a registry, and the settings have none.

    Attributes:
        key: its name in a registry.
    """

    def __init__(self, key: SchemaKey) -> None:
        super().__init__(
            "A record names a schema of a schema registry, and none is configured.",
            mend="Set schema_registry.url.",
            reason="schema_registry",
        )
        self.key = key


@dataclass(slots=True, eq=False)
class _Writer:
    """A writer schema, its text form for ``Event.schema_id`` and the event it is, if it says."""

    schema: WriterSchema
    schema_id: str
    event: EventSchema | None


@dataclass(slots=True, eq=False)
class _NotUsable:
    """A writer schema that was refused, and until when that holds."""

    refused: Refused
    until_s: float


class Decoder:
    """Decodes records; nothing here waits.

    An event name with spaces around it counts as the name without them (Capillary's samples have
    such); another case is another name.

    Args:
        folder: the events that can be decoded.
        converter: which formats, and what becomes of null values, unknown and unmapped events.
        capillary: which organisations are ours.
        registry: whether a schema registry is configured.
        clock: seconds, for forgetting that an id was unknown.
    """

    def __init__(
        self,
        folder: SchemaFolder,
        converter: ConverterSettings,
        capillary: CapillarySettings,
        *,
        registry: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = folder.events
        self._settings = converter
        self._org_ids = frozenset(capillary.org_ids)
        self._registry = registry
        self._clock = clock
        self._by_record_name = _by_record_name(folder.events)
        self._known: dict[int | uuid.UUID, _Writer | _NotUsable] = {}
        self._by_fingerprint: dict[bytes, WriterSchema] = {}
        for event in folder.events.values():
            for schema in (*event.versions.values(), event.parsed):
                self._by_fingerprint[schema.fingerprint] = schema
        self._of_fingerprint: dict[bytes, _Writer] = {}

    def decode(self, record: Record) -> Event:
        """Decode one record into the shape of its event's schema in the folder.

        Raises:
            Refused: ``decode.*`` or ``event.*``; the record is at fault.
            Filtered: the settings leave it out.
            SchemaMissing: the writer's schema has to be fetched first.
            RegistryMissing: it needs a schema registry, and none is configured.
        """
        if record.value is None:
            raise self._left_out(
                self._settings.on_null_value,
                Filtered(FilterReason.TOMBSTONE),
                Refused("The record has a null value.", code=Code.EVENT_INVALID),
            )
        framed = unframe(record.value, record.headers, self._settings.value)
        if isinstance(framed, Json):
            event = self._from_json(framed.payload)
        elif isinstance(framed, Registered):
            event = self._from_avro(self._writer(framed.id), framed.payload)
        else:
            event = self._from_avro(self._fingerprinted(framed), framed.payload)
        if self._org_ids and event.body.get("orgId") not in self._org_ids:
            wrong_org = Refused(
                "The event is of a Capillary organisation that capillary.org_ids does not list.",
                code=Code.EVENT_WRONG_ORG,
                pointer="/orgId",
            )
            _name(wrong_org, event.name, event.event_id)
            raise wrong_org
        return event

    def learn(self, key: SchemaKey, found: WriterSchema | Refused) -> None:
        """Remember a writer schema, or why it is refused.

        An id that the registry does not have is forgotten again after a minute.
        """
        while len(self._known) >= _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        if isinstance(found, WriterSchema):
            self._known[key.id] = self._with_event(found, str(key))
            return
        unknown = found.code is Code.DECODE_UNKNOWN_SCHEMA_ID
        until_s = self._clock() + _UNKNOWN_ID_S if unknown else float("inf")
        self._known[key.id] = _NotUsable(found, until_s)

    def writer_of(self, record: Record) -> WriterSchema | None:
        """The schema that a record was written with; `None`: it names none that is known here."""
        try:
            framed = unframe(record.value or b"", record.headers, self._settings.value)
        except Refused:
            return None
        if isinstance(framed, Registered):
            known = self._known.get(framed.id)
            return known.schema if isinstance(known, _Writer) else None
        if isinstance(framed, Fingerprinted):
            return self._by_fingerprint.get(framed.fingerprint)
        return None

    def _writer(self, schema_id: int | uuid.UUID) -> _Writer:
        known = self._known.get(schema_id)
        if isinstance(known, _Writer):
            return known
        if not self._registry:
            raise RegistryMissing(SchemaKey(schema_id))
        if known is None or known.until_s <= self._clock():
            raise SchemaMissing(SchemaKey(schema_id))
        raise again(known.refused)

    def _fingerprinted(self, framed: Fingerprinted) -> _Writer:
        known = self._of_fingerprint.get(framed.fingerprint)
        if known is not None:
            return known
        schema = self._by_fingerprint.get(framed.fingerprint)
        if schema is None:
            raise Refused(
                f"No schema in the schemas folder has the fingerprint {framed.schema_id}; "
                "put the writer's schema into its event's versions folder.",
                code=Code.DECODE_UNKNOWN_SCHEMA_ID,
            )
        known = self._of_fingerprint[framed.fingerprint] = self._with_event(
            schema, framed.schema_id
        )
        return known

    def _with_event(self, schema: WriterSchema, schema_id: str) -> _Writer:
        names = (schema.name, unqualified(schema.name))
        found = (self._by_record_name[name] for name in names if name in self._by_record_name)
        return _Writer(schema, schema_id, next(found, None))

    def _from_avro(self, writer: _Writer, payload: bytes) -> Event:
        event = writer.event
        if event is None:
            event = self._event_of(_said(writer.schema.read(payload)))
        if not event.mapping_files:
            raise self._unmapped(event.name)
        try:
            body = writer.schema.read(payload, event.parsed)
            _agrees(body, event.name)
        except Refused as error:
            _name(error, event.name, None)
            raise
        return Event(event.name, body, writer.schema_id)

    def _from_json(self, text: bytes) -> Event:
        flat = envelope(text)
        event = self._event_of(_said(flat))
        if not event.mapping_files:
            raise self._unmapped(event.name)
        try:
            body = event.parsed.from_json(flat)
            _agrees(body, event.name)
        except Refused as error:
            _name(error, event.name, flat.get("eventId"))
            raise
        return Event(event.name, body)

    def _event_of(self, name: str) -> EventSchema:
        event = self._events.get(name)
        if event is not None:
            return event
        printable = name if _PRINTABLE_NAME.fullmatch(name) else ""
        if is_documented(printable):
            raise self._unmapped(printable)
        refused = Refused(
            f"Capillary documents no event of this name: {printable or 'not a name'}.",
            code=Code.EVENT_UNKNOWN,
            pointer="/eventName",
        )
        _name(refused, printable, None)
        raise self._left_out(
            self._settings.on_unknown_event,
            Filtered(FilterReason.UNKNOWN_EVENT, printable),
            refused,
        )

    def _unmapped(self, name: str) -> Filtered | Refused:
        refused = Refused(
            f"The event {name} has no mapping set.",
            code=Code.EVENT_UNMAPPED,
            pointer="/eventName",
        )
        _name(refused, name, None)
        return self._left_out(
            self._settings.on_unmapped_event, Filtered(FilterReason.UNMAPPED_EVENT, name), refused
        )

    @staticmethod
    def _left_out(wanted: str, filtered: Filtered, refused: Refused) -> Filtered | Refused:
        return filtered if wanted == "filter" else refused


def _by_record_name(events: Mapping[str, EventSchema]) -> dict[str, EventSchema]:
    """Events by what a writer may call their record, the most exact name winning.

    The record's full name, its aliases, the same without namespace, and the event's own name. A
    short name that two events could have is left out.
    """
    exact: dict[str, EventSchema] = {}
    short: dict[str, EventSchema | None] = {}
    for event in events.values():
        for name in (event.parsed.name, *event.parsed.type.aliases):
            exact.setdefault(name, event)
            last = unqualified(name)
            short[last] = event if short.get(last, event) is event else None
    for event in events.values():
        short.setdefault(event.name, event)
    return {name: event for name, event in short.items() if event is not None} | exact


def _name(error: Refused, name: str, event_id: object) -> None:
    """Have an error say which event it is about."""
    error.event_name = name
    error.event_id = event_id if isinstance(event_id, str) and event_id.strip() else None


def _said(body: Mapping[str, Any]) -> str:
    """The event's name as its body says it."""
    name = body.get("eventName")
    if not isinstance(name, str) or not name.strip():
        raise Refused(
            "The event has no eventName, and its schema's name is that of no event.",
            code=Code.EVENT_INVALID,
            pointer="/eventName",
        )
    return name.strip()


def _agrees(body: dict[str, Any], name: str) -> None:
    """Check that the body's own name is the event's, and spell it as Capillary does."""
    said = body.get("eventName")
    if said is None or said == name:
        return
    if not isinstance(said, str) or said.strip() not in {name, PAYLOAD_NAMES.get(name)}:
        raise Refused(
            f"The event's eventName contradicts its schema, which is that of {name}.",
            code=Code.EVENT_INVALID,
            pointer="/eventName",
        )
    body["eventName"] = said.strip()
