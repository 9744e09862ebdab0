"""Fills a topic with dead letters of many kinds, as fast as the client's producer goes."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from processor.demo.events import SampleEvents
from processor.errors import Code, Violation, fingerprint
from processor.kafka.letter import Letter
from processor.record import Position
from processor.schemas import wire
from processor.schemas.folder import SchemaFolder
from processor.settings import SchemasSettings

CONNECTOR = "bench"
EVENT = "pointsIssued"
DIFFERENT = 5_000
"""So many different events and stories; making one takes longer than sending it."""
FLUSH_S = 300.0
TARGETS = ("event", "loyalty")
RARE = Code.DELIVERY_POISON
RARE_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Filled:
    """What a topic was filled with.

    Attributes:
        letter_bytes: of one letter, key, value and headers, on average.
        kinds: different fingerprints.
        customer: whose letters are found by --where.
    """

    letter_bytes: int
    kinds: int
    customer: int


def fill(servers: str, topic: str, partitions: int, count: int, *, kinds: int = 40) -> Filled:
    """Produce so many letters; returns when the broker has them all.

    Their events are Avro in single-object encoding, so that no registry is needed to read them.
    Kinds are as unlike as in life: the first is half of them. One of `RARE_EVERY` has the code
    `RARE`.
    """
    made = list(_made(topic.removesuffix(".dlq"), kinds))
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    rare = _letter(made[0]["event"], topic.removesuffix(".dlq"), RARE, 0)
    for number in range(count):
        row = rare if number % RARE_EVERY == RARE_EVERY - 1 else made[number % len(made)]
        while True:
            try:
                producer.produce(
                    topic,
                    key=row["key"],
                    value=row["value"],
                    headers=row["headers"],
                    partition=number % partitions,
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(FLUSH_S) == 0
    size = sum(
        len(row["key"]) + len(row["value"]) + sum(len(k) + len(v) for k, v in row["headers"])
        for row in made
    )
    customer = made[0]["event"]["data"]["customerIdentifiers"]["customerId"]
    return Filled(size // len(made), len({row["kind"] for row in made}) + 1, customer)


def _made(source_topic: str, kinds: int) -> Iterator[dict[str, Any]]:
    events, chance = SampleEvents(customers=DIFFERENT), random.Random(7)
    codes = [code for code in Code if code is not RARE]
    for number in range(DIFFERENT):
        kind = min(kinds - 1, int(chance.expovariate(0.15)))
        code = codes[kind % len(codes)]
        event = events.of(EVENT)
        event["data"]["customerIdentifiers"]["customerId"] = 387_000_000 + number
        yield _letter(event, source_topic, code, kind)


def _letter(event: dict[str, Any], source_topic: str, code: Code, kind: int) -> dict[str, Any]:
    schema = SCHEMA.parsed
    pointer, target = f"#/loyalty/field{kind}", TARGETS[kind % len(TARGETS)]
    value = wire.single_object(SCHEMA.parsed.fingerprint, schema.write(schema.from_json(event)))
    customer = event["data"]["customerIdentifiers"]["customerId"]
    mark = fingerprint(code, pointer=pointer, schema="7", target=target)
    letter = Letter(
        source=Position(source_topic, 0, event["eventLogId"]),
        source_timestamp_ms=event["createdAt"],
        key=str(customer).encode(),
        value=value,
        headers=[("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
        connector=CONNECTOR,
        task_id="0",
        code=code,
        class_name="processor.experience_platform.gate.Gate",
        exception_class_name="processor.errors.Refused",
        message=f"The entity for target {target} breaks the schema at {pointer}.",
        stacktrace='Traceback (most recent call last):\n  File "gate.py", line 90, in check\n',
        fingerprint=mark,
        targets=(target,),
        event_id=event["eventId"],
        event_name=EVENT,
        schema_id="7",
        attempts=0,
        http_status=None,
        xaction_id=None,
        errors=(Violation("type", "expected type: Number, found: String", pointer, "#/p"),),
        failed_at="2026-01-01T00:00:00.000Z",
        replay_id=None,
        replay_count=0,
        version="1",
    )
    return {
        "event": event,
        "kind": mark,
        "key": letter.key,
        "value": letter.value,
        "headers": letter.all_headers(),
    }


SCHEMA = SchemaFolder.load(SchemasSettings()).events[EVENT]
