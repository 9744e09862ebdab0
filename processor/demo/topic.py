"""Fills the demo's topic with events, good ones and bad ones, and notes what each should become."""

import asyncio
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import Producer

from processor.demo.events import FEEDS, SampleEvents
from processor.errors import TryAgain
from processor.schemas import wire
from processor.schemas.folder import SchemaFolder
from processor.schemas.registry import SchemaRegistry, subject_name
from processor.settings import SchemaRegistrySettings

REFUSED_CUSTOMER = 900_001
"""Experience Platform refuses this customer in the demo, as it does a blocked identity."""

UNKNOWN_SCHEMA_ID = 9_999_999
OF_EACH_BAD = 8
PRODUCE_S = 60.0


@dataclass(slots=True)
class Expected:
    """What should become of the topic's records.

    Attributes:
        records: how many there are.
        messages: by target, the ``_id``s that Experience Platform should accept at once.
        cured: likewise, after the mapping is mended.
        stale: balances that are not sent then, for a later record of the customer is in the topic.
        dead: dead letters by code.
        filtered: records left out, by reason.
    """

    records: int = 0
    messages: dict[str, set[str]] = field(default_factory=dict)
    cured: dict[str, set[str]] = field(default_factory=dict)
    stale: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    filtered: Counter[str] = field(default_factory=Counter)
    _waiting: dict[bytes | None, str] = field(default_factory=dict)

    def balance(self, key: bytes | None, waits: str | None = None) -> None:
        """A record sets the balance of its key, or may; what waits of it is old news from here.

        Args:
            key: the record's.
            waits: its ``_id`` when it is one that the mistake keeps.
        """
        old = self._waiting.pop(key, None)
        if old is not None:
            self.cured["loyalty"].discard(old)
            self.stale += 1
        if waits is not None:
            self._waiting[key] = waits
            self.cured.setdefault("loyalty", set()).add(waits)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A record.

    Attributes:
        opaque: nobody can tell whether it sets a balance.
    """

    key: bytes | None
    value: bytes | None
    opaque: bool = False


async def register_events(
    folder: SchemaFolder, settings: SchemaRegistrySettings, topic: str
) -> dict[str, int]:
    """Register every event's schema under its subject for a topic.

    Returns:
        By event name, the schema's id.

    Raises:
        TryAgain: the registry is away.
        Misconfigured: it refuses us, or a schema.
    """
    registry = SchemaRegistry(settings)
    strategy = settings.subject_name_strategy
    try:
        return {
            name: await registry.register(
                subject_name(strategy, topic, event.parsed.name), event.avro
            )
            for name, event in folder.events.items()
        }
    finally:
        await registry.aclose()


class Topic:
    """One topic of Capillary events, in Confluent framing.

    Args:
        folder: the schemas that events are written with.
        registry: where they are registered.
    """

    def __init__(self, name: str, folder: SchemaFolder, registry: SchemaRegistrySettings) -> None:
        self._name = name
        self._folder = folder
        self._registry = registry
        self._events = SampleEvents()
        self._ids: dict[str, int] = {}

    def fill(self, bootstrap_servers: str, good: int) -> Expected:
        """Produce so many good events with bad ones between them.

        Raises:
            TryAgain: the broker or the registry does not take them.
        """
        self._ids = asyncio.run(register_events(self._folder, self._registry, self._name))
        expected = Expected()
        sent = self._mixed(good, expected)
        producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 20})
        for record in sent:
            producer.produce(self._name, value=record.value, key=record.key)
            producer.poll(0)
            expected.records += 1
        left = producer.flush(PRODUCE_S)
        if left:
            raise TryAgain(f"Kafka did not take {left} of the demo's records.", reason="kafka")
        return expected

    def _mixed(self, good: int, expected: Expected) -> Iterable[_Sent]:
        bad = list(self._bad(expected))
        every = max(1, good // max(1, len(bad)))
        for number, event in enumerate(self._events.mixed(good)):
            sent = self._avro(event)
            self._expect(event, sent.key, expected)
            yield sent
            if number % every == every - 1 and bad:
                yield self._noted(bad.pop(), expected)
        for sent in bad:
            yield self._noted(sent, expected)

    @staticmethod
    def _noted(sent: _Sent, expected: Expected) -> _Sent:
        if sent.opaque:
            expected.balance(sent.key)
        return sent

    @staticmethod
    def _expect(event: dict[str, Any], key: bytes | None, expected: Expected) -> None:
        def add(target: str) -> None:
            expected.messages.setdefault(target, set()).add(event["eventId"])

        for target in FEEDS[event["eventName"]]:
            if target != "loyalty":
                add(target)
            elif event["data"]["regularPointsBreakup"]:
                expected.dead["mapping.expression"] += 1
                expected.balance(key, waits=event["eventId"])
            else:
                expected.balance(key)
                add(target)

    def _bad(self, expected: Expected) -> Iterable[_Sent]:
        """One after the other, some of each way to be wrong."""
        for _ in range(OF_EACH_BAD):
            whole = self._avro(self._events.of("pointsIssued"))
            value = whole.value or b""
            expected.dead["decode.truncated"] += 1
            yield _Sent(whole.key, value[: len(value) // 2], opaque=True)

            expected.dead["decode.unknown_schema_id"] += 1
            # A key of its own: later records of its key wait with it for the registry's grace.
            unknown = struct.pack(">xI", UNKNOWN_SCHEMA_ID)
            yield _Sent(b"of an unknown schema", unknown + value[5:])

            event = self._events.of("transactionAdded")
            expected.dead["event.unknown"] += 1
            strange = orjson.dumps({**event, "eventName": "pointsTeleported"})
            yield _Sent(whole.key, strange, opaque=True)

            expected.filtered["unmapped_event"] += 1
            yield _Sent(whole.key, orjson.dumps({**event, "eventName": "groupCreated"}))

            expected.filtered["tombstone"] += 1
            yield _Sent(whole.key, None)

            nobody = self._events.of("transactionAdded")
            nobody["data"]["customerIdentifiers"] = None
            expected.dead["mapping.no_identity"] += 1
            yield self._avro(nobody)

            wrong = self._events.of("transactionAdded")
            wrong["data"]["currencyCode"] = "rupees"
            expected.dead["gate.violation"] += 1
            yield self._avro(wrong)

            refused = self._events.of("customerAdded")
            refused["data"]["customerIdentifiers"] = {"customerId": REFUSED_CUSTOMER}
            expected.dead["delivery.refused"] += 1
            yield self._avro(refused)

    def _avro(self, event: dict[str, Any]) -> _Sent:
        name = event["eventName"]
        schema = self._folder.events[name].parsed
        payload = schema.write(schema.from_json(event))
        identifiers = event["data"]["customerIdentifiers"]
        key = str(identifiers["customerId"]).encode() if identifiers else None
        return _Sent(key, wire.confluent(self._ids[name], payload))
