"""A steady load of events with known bad records among them; each is noted with its fate."""

import asyncio
import hashlib
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import KafkaError, Message, Producer

from processor.demo.events import FEEDS, SampleEvents
from processor.demo.topic import register_events
from processor.errors import TryAgain
from processor.local.broker import NO_LOGS
from processor.record import Headers, Record
from processor.schemas import wire
from processor.schemas.folder import SchemaFolder
from processor.settings import SchemaRegistrySettings, SchemasSettings
from tests.rig.history import Produced

REFUSED_CUSTOMER = 900_001
POISON_CUSTOMER = 900_002
UNKNOWN_SCHEMA_ID = 9_999_999
SPOIL_IDENTITIES = [
    {
        "scope": "batch",
        "match": {"identity": f"CapillaryCustomerId:{POISON_CUSTOMER}"},
        "status": 500,
    },
    {
        "scope": "batch",
        "match": {"identity": f"CapillaryCustomerId:{REFUSED_CUSTOMER}"},
        "refuse": {"status": 400, "message": "Message is invalid"},
    },
]
"""Faults of the simulator without which these customers' messages would be accepted."""

TICK_S = 0.05
STUCK_S = 45.0
"""Longer than any fault of the broker."""

NUMBER = "rig-number"
TRANSACTION_S = 30.0
IN_TRANSACTION = 4


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before it has coordinates."""

    key: bytes | None
    value: bytes | None
    event_id: str | None = None
    fate: str = "deliver"
    why: Sequence[str] = ()
    messages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Headers = ()


class Events:
    """Makes records of events, good ones and bad ones; a pure function of the seed.

    Args:
        registry_url: of a registry where the schemas are registered: Avro in Confluent framing;
            `None`: JSON.
        bad_share: of the records, how many are at fault or filtered.
        poison: among the bad ones are also some that Experience Platform answers with 500.
    """

    def __init__(
        self,
        topic: str,
        registry_url: str | None,
        *,
        seed: int,
        bad_share: float = 0.03,
        customers: int = 200,
        poison: bool = True,
    ) -> None:
        self._random = random.Random(seed)
        self._events = SampleEvents(seed, customers)
        self._folder = SchemaFolder.load(SchemasSettings())
        self._ids: dict[str, int] = {}
        if registry_url:
            registry = SchemaRegistrySettings(url=registry_url)
            self._ids = asyncio.run(register_events(self._folder, registry, topic))
        self._bad_share = bad_share
        self._number = 0
        self._bad: list[Callable[[], Draft]] = [
            self._framing, self._json, self._unknown, self._nobody, self._violation,
            self._refused, self._unmapped, self._tombstone,
        ]  # fmt: skip
        self._bad += [self._truncated, self._unknown_id] if self._ids else []
        self._bad += [self._poison] if poison else []

    def __iter__(self) -> Iterator[Draft]:
        while True:
            yield self.bad() if self._random.random() < self._bad_share else self.good()

    def good(self) -> Draft:
        """A record that should be delivered."""
        (event,) = self._events.mixed(1)
        messages = dict.fromkeys(FEEDS[event["eventName"]], (event["eventId"],))
        return self._of(event, messages=messages)

    def bad(self) -> Draft:
        """A record that should not, one kind after the other."""
        self._number += 1
        return self._bad[self._number % len(self._bad)]()

    def _of(self, event: dict[str, Any], **fate: Any) -> Draft:
        identifiers = event["data"]["customerIdentifiers"]
        key = str(identifiers["customerId"]).encode() if identifiers else b"nobody"
        headers = [("origin", b"\xff\x00rig"), ("origin", None)]
        return Draft(key, self._encode(event), event["eventId"], headers=headers, **fate)

    def _encode(self, event: dict[str, Any]) -> bytes:
        if not self._ids:
            return orjson.dumps(event)
        name = event["eventName"]
        schema = self._folder.events[name].parsed
        return wire.confluent(self._ids[name], schema.write(schema.from_json(event)))

    def _own_key(self) -> bytes:
        """Later records of its key may have to wait with a record: so it is alone."""
        return f"bad-{self._number}".encode()

    def _dead(self, value: bytes, *codes: str) -> Draft:
        return Draft(self._own_key(), value, fate="dead_letter", why=codes)

    def _framing(self) -> Draft:
        return self._dead(b"\x01broken", "decode.framing")

    def _json(self) -> Draft:
        event = orjson.dumps(self._events.of("transactionAdded"))
        return self._dead(event[: len(event) // 2], "decode.json")

    def _truncated(self) -> Draft:
        value = self._encode(self._events.of("pointsIssued"))
        return self._dead(value[: len(value) // 2], "decode.truncated")

    def _unknown_id(self) -> Draft:
        value = self._encode(self._events.of("pointsIssued"))
        unknown = struct.pack(">xI", UNKNOWN_SCHEMA_ID) + value[5:]
        return self._dead(unknown, "decode.unknown_schema_id")

    def _unknown(self) -> Draft:
        event = {**self._events.of("transactionAdded"), "eventName": "pointsTeleported"}
        dead = self._dead(orjson.dumps(event), "event.unknown")
        return Draft(dead.key, dead.value, event["eventId"], dead.fate, dead.why)

    def _unmapped(self) -> Draft:
        event = {**self._events.of("transactionAdded"), "eventName": "groupCreated"}
        return Draft(b"group", orjson.dumps(event), event["eventId"], "filter", ("unmapped_event",))

    def _tombstone(self) -> Draft:
        return Draft(b"tombstone", None, None, "filter", ("tombstone",))

    def _nobody(self) -> Draft:
        event = self._events.of("transactionAdded")
        event["data"]["customerIdentifiers"] = None
        return self._of(event, fate="dead_letter", why=("mapping.no_identity",))

    def _violation(self) -> Draft:
        event = self._events.of("transactionAdded")
        event["data"]["currencyCode"] = "rupees"
        return self._of(event, fate="dead_letter", why=("gate.violation",))

    def _refused(self) -> Draft:
        return self._of_customer(REFUSED_CUSTOMER, "delivery.refused")

    def _poison(self) -> Draft:
        return self._of_customer(POISON_CUSTOMER, "delivery.poison")

    def _of_customer(self, customer: int, code: str) -> Draft:
        event = self._events.of("transactionAdded")
        event["data"]["customerIdentifiers"] = {"customerId": customer}
        return self._of(
            event,
            fate="dead_letter",
            why=(code,),
            messages={"event": (event["eventId"],)},
        )


class Load:
    """Produces at a steady rate on a thread of its own, until it is stopped.

    What the topic holds in the end is read back from it (:meth:`produced`), so a record whose
    acknowledgement was lost is known too. Each has its number in a header.

    Args:
        servers: an address that no fault stands in front of.
        gaps: now and then in a transaction, and some of these aborted, so that offsets have gaps.
    """

    def __init__(
        self, servers: str, topic: str, events: Events, *, rate: float, gaps: bool = False
    ) -> None:
        self._servers = {"bootstrap.servers": servers, "linger.ms": 5}
        self._topic = topic
        self._events = events
        self._drafts = iter(events)
        self._rate = rate
        self._gaps = gaps
        self._sent: list[tuple[Draft, bool]] = []
        self._only_good = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._problem: BaseException | None = None
        self._open = self._open_bad = 0
        self._told_s = time.monotonic()
        self.last: dict[int, int] = {}
        """By partition, the highest offset that was acknowledged to a consumer's eyes."""

        self.last_bad: dict[int, int] = {}
        """Likewise, of a record at fault."""

    @property
    def acknowledged_bad(self) -> bool:
        """Whether it is known what became of every record at fault that was sent."""
        return self._open_bad == 0

    def only_good(self) -> None:
        """Send no more records at fault.

        Experience Platform's 500 convicts a message only beside others that are accepted, so the
        last one at fault needs some after it.
        """
        self._only_good.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop, once the broker has everything.

        Raises:
            TryAgain: it did not take everything.
        """
        self._stopping.set()
        self._thread.join()
        if self._problem is not None:
            raise TryAgain(f"The load broke off: {self._problem!r}.", reason="kafka")

    def produced(self, record: Record) -> Produced:
        """A record that was read back from the topic, and what should become of it."""
        number = next(value for name, value in record.headers if name == NUMBER)
        draft, aborted = self._sent[int(number or b"")]
        return Produced(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            at_ms=record.timestamp_ms or 0,
            key=None if record.key is None else record.key.hex(),
            digest=digest(record.value),
            headers=digest_of_headers(record.headers),
            event_id=draft.event_id,
            fate="abort" if aborted else draft.fate,
            why=draft.why,
            messages=draft.messages,
        )

    def _run(self) -> None:
        try:
            producer = self._producer()
            begin_s, sent, round_ = time.monotonic(), 0, 0
            while not self._stopping.wait(TICK_S):
                due = int((time.monotonic() - begin_s) * self._rate)
                while sent < due:
                    self._send(producer, self._next())
                    sent += 1
                producer.poll(0)
                if not self._open:
                    self._told_s = time.monotonic()
                elif time.monotonic() - self._told_s > STUCK_S:
                    producer = self._another(producer)
                round_ += 1
                if self._gaps and round_ % 20 == 0:
                    self._transaction(abort=round_ % 60 == 0)
            if producer.flush(STUCK_S):
                self._another(producer)
        except BaseException as error:  # noqa: BLE001 - told by stop()
            self._problem = error

    def _producer(self, **properties: str) -> Producer:
        return Producer({**self._servers, "enable.idempotence": True, **properties}, logger=NO_LOGS)

    def _another(self, stuck: Producer) -> Producer:
        """A producer in place of one that has got nothing across for long, as happens."""
        stuck.purge()
        stuck.flush(STUCK_S)
        self._told_s = time.monotonic()
        return self._producer()

    def _next(self) -> Draft:
        return self._events.good() if self._only_good.is_set() else next(self._drafts)

    def _transaction(self, *, abort: bool) -> None:
        producer = self._producer(**{"transactional.id": f"{self._topic}-gaps"})
        producer.init_transactions(TRANSACTION_S)
        producer.begin_transaction()
        for _ in range(IN_TRANSACTION):
            self._send(producer, self._next(), aborted=abort)
        producer.flush(TRANSACTION_S)
        if abort:
            producer.abort_transaction(TRANSACTION_S)
        else:
            producer.commit_transaction(TRANSACTION_S)

    def _send(self, producer: Producer, draft: Draft, *, aborted: bool = False) -> None:
        bad = draft.fate != "deliver"

        def told(error: KafkaError | None, message: Message) -> None:
            self._open -= 1
            self._open_bad -= bad
            self._told_s = time.monotonic()
            if error is None and not aborted:
                partition, offset = message.partition() or 0, message.offset() or 0
                for noted in (self.last, *([self.last_bad] if bad else [])):
                    noted[partition] = max(noted.get(partition, -1), offset)

        number = str(len(self._sent)).encode()
        self._sent.append((draft, aborted))
        self._open += 1
        self._open_bad += bad
        producer.produce(
            self._topic,
            key=draft.key,
            value=draft.value,
            headers=[*draft.headers, (NUMBER, number)],
            on_delivery=told,
        )


def digest(value: bytes | None) -> str | None:
    """SHA-256 of a value; `None` for none."""
    return None if value is None else hashlib.sha256(value).hexdigest()


def digest_of_headers(headers: Headers) -> str:
    """SHA-256 of headers, in their order."""
    text = repr([(name, value) for name, value in headers])
    return hashlib.sha256(text.encode()).hexdigest()
