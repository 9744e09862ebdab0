"""The kinds of records that the model makes, and the shaping that understands them.

Decoding and mapping have tests of their own. Here a record's value says itself what becomes of it,
and only the mapper, the gate and the decoder are doubles: identities, envelope and transform are
the product's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import orjson

from processor.connector.assembly import Shaping
from processor.connector.transform import Newer, Route, Transform
from processor.errors import Code, Filtered, FilterReason, Refused, TryAgain
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.gate import Gate
from processor.experience_platform.identity import Identities
from processor.mapping.mapper import Failure as RuleFailure
from processor.mapping.mapper import Mapped, Mapper
from processor.record import Event, Record, TopicPartition
from processor.schemas.avro import WriterSchema
from processor.schemas.decoder import Decoder, SchemaMissing
from processor.schemas.folder import SchemaFolder
from processor.schemas.wire import SchemaKey
from processor.settings import Settings

MISSING_SCHEMA = SchemaKey(404)
UNMAPPED = "groupCreated"


class Key(NamedTuple):
    """One message of one record, whoever sends it."""

    serial: int
    target: str
    number: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What becomes of a record.

    Attributes:
        messages: targets and how many messages for each.
        unmapped: targets that its mapping fails at.
        refused: Experience Platform refuses the messages for these targets.
        filtered: the processor leaves it out.
        unreadable: it cannot be decoded.
        breaks: what any request that holds it is answered with.
        schema: what its writer schema is called, if it has to be asked for.
    """

    messages: tuple[tuple[str, int], ...] = ()
    unmapped: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    filtered: FilterReason | None = None
    unreadable: Code | None = None
    breaks: str = ""
    schema: int | None = None


KINDS = {
    "good": Kind((("event", 1),)),
    "state": Kind((("profile", 1),)),
    "both": Kind((("event", 1), ("profile", 1))),
    "several": Kind((("event", 2),)),
    "tombstone": Kind(filtered=FilterReason.TOMBSTONE),
    "unmapped": Kind(filtered=FilterReason.UNMAPPED_EVENT),
    "no_target": Kind(filtered=FilterReason.NO_TARGET),
    "unreadable": Kind(unreadable=Code.DECODE_TRUNCATED),
    "unmappable": Kind(unmapped=("event",)),
    "half": Kind((("event", 1),), unmapped=("profile",)),
    "refused": Kind((("event", 1), ("profile", 1)), refused=("profile",)),
    "poison": Kind((("event", 1),), breaks="500"),
    "mute": Kind((("event", 1),), breaks="garbage"),
    "huge": Kind((("profile", 1),), breaks="413"),
    "new_schema": Kind((("event", 1), ("profile", 1)), schema=7),
    "no_schema": Kind(unreadable=Code.DECODE_UNKNOWN_SCHEMA_ID, schema=404),
}


@dataclass(slots=True, eq=False)
class Made:
    """A record that was produced.

    Attributes:
        names: its messages by what a dead letter calls them; those that fail in the mapping too.
    """

    serial: int
    partition: TopicPartition
    kind: Kind
    record: Record
    names: Mapping[str, Key | None]

    @property
    def keys(self) -> list[Key]:
        """The messages that are to be sent."""
        return [key for key in self.names.values() if key is not None]


def make(serial: int, partition: TopicPartition, offset: int, key: bytes | None, kind: str) -> Made:
    """A record of a kind, at its place in the log."""
    what = KINDS[kind]
    names: dict[str, Key | None] = dict.fromkeys(what.unmapped)
    for target, count in what.messages:
        for index in range(count):
            name = f"{target}#{index}" if count > 1 else target
            names[name] = Key(serial, target, index)
    value = None if kind == "tombstone" else orjson.dumps({"serial": serial, "kind": kind})
    headers = [("trace", str(serial).encode()), ("trace", None)]
    record = Record(*partition, offset, 1_700_000_000_000 + serial, key, value, headers)
    return Made(serial, partition, what, record, names)


class Reading:
    """Decodes what :func:`make` makes."""

    def __init__(self) -> None:
        self._known: dict[SchemaKey, WriterSchema | Refused] = {}

    def decode(self, record: Record) -> Event:
        if record.value is None:
            raise Filtered(FilterReason.TOMBSTONE)
        body = orjson.loads(record.value)
        kind = KINDS[body["kind"]]
        if kind.schema is not None:
            key = SchemaKey(kind.schema)
            if key not in self._known:
                raise SchemaMissing(key)
            if isinstance(refused := self._known[key], Refused):
                raise refused
        if kind.unreadable is not None:
            raise Refused("It cannot be read.", code=kind.unreadable)
        if kind.filtered is FilterReason.UNMAPPED_EVENT:
            raise Filtered(kind.filtered, UNMAPPED)
        return Event("pointsIssued", {"eventId": f"e-{body['serial']}", **body}, "17")

    def learn(self, key: SchemaKey, verdict: WriterSchema | Refused) -> None:
        self._known[key] = verdict


class MapperDouble:
    """Maps an event to the messages of its kind."""

    def __init__(self) -> None:
        self.failures: dict[RuleFailure, int] = {}

    def targets_of(self, event_name: str) -> tuple[str, ...]:
        return ("event", "profile")

    def map(self, event: Event, target: str, timestamp_ms: int | None) -> list[Mapped]:
        kind = KINDS[event.body["kind"]]
        if target in kind.unmapped:
            raise Refused("It does not map.", code=Code.MAPPING_TYPE)
        count = dict(kind.messages).get(target, 0)
        serial = event.body["serial"]
        return [
            Mapped({"serial": serial, "index": index, "identityMap": {}}, {})
            for index in range(count)
        ]


class OpenGate:
    """Lets everything through."""

    def check(self, entity: dict[str, Any], encoded: bytes) -> None:
        return


class RegistryDouble:
    """Has one schema; is away when the test says so."""

    def __init__(self) -> None:
        self.away = False

    async def fetch(self, key: SchemaKey) -> WriterSchema:
        if self.away:
            raise TryAgain("The registry is away.", reason="schema_registry")
        if key == MISSING_SCHEMA:
            raise Refused("No such schema.", code=Code.DECODE_UNKNOWN_SCHEMA_ID)
        return cast("WriterSchema", object())

    async def aclose(self) -> None:
        return


def shaping(settings: Settings, *, newer: Newer | None = None, id_label: str = "") -> Shaping:
    """What :func:`processor.connector.assembly.shaping` gives, for the kinds above."""
    assert not id_label, "the model's ids are the usual ones"
    platform = settings.experience_platform
    routes = {
        name: Route(target, cast("Gate", OpenGate()), Envelope(platform, target))
        for name, target in platform.targets.items()
    }
    transform = Transform(
        cast("Mapper", MapperDouble()),
        Enricher(Identities(settings.identity)),
        routes,
        newer=newer,
    )
    return Shaping(cast("SchemaFolder", None), cast("Decoder", Reading()), transform, routes)
