"""Fills topics with Capillary events in Avro, in Confluent framing: ahead, or at a steady rate."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Producer

from processor.demo.events import SampleEvents
from processor.schemas import wire
from processor.schemas.folder import SchemaFolder
from processor.schemas.registry import SchemaRegistry
from processor.settings import SchemaRegistrySettings, SchemasSettings

CUSTOMERS = 50_000
DIFFERENT = 50_000
"""So many different events, sent again and again: making them takes longer than sending them."""
FLUSH_S = 120.0
TICK_S = 0.02


class Load:
    """Events of one kind, ready to be produced.

    Args:
        customers: how many different ones there are, so different keys.
        in_turn: one customer after the other, instead of drawing each.

    Attributes:
        size_bytes: of a record's value, on average.
        busiest: different events of the customer with most of them.
    """

    def __init__(
        self,
        event: str,
        topic: str,
        registry_url: str,
        *,
        customers: int = CUSTOMERS,
        in_turn: bool = False,
    ) -> None:
        self._event = event
        self._schema = SchemaFolder.load(SchemasSettings()).events[event]
        self._settings = SchemaRegistrySettings(url=registry_url)
        self._events = SampleEvents(customers=customers, in_turn=in_turn)
        self._schema_id = asyncio.run(self._register(topic))
        self.size_bytes = self.busiest = 0

    def fill(self, servers: str, topic: str, count: int, *, different: int = DIFFERENT) -> None:
        """Produce so many events, the same again after so many; returns when the broker has all."""
        made = [self._record(self._events.of(self._event)) for _ in range(min(count, different))]
        self.size_bytes = sum(len(value) for _, value in made) // len(made)
        self.busiest = max(Counter(key for key, _ in made).values())
        producer = _producer(servers)
        for key, value in itertools.islice(itertools.cycle(made), count):
            while True:
                try:
                    producer.produce(topic, value=value, key=key)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(FLUSH_S) == 0

    def pace(self, servers: str, topic: str, rate: int, duration_s: float) -> int:
        """Produce so many a second, each with the time at which it is produced; gives the count."""
        producer = _producer(servers)
        for number, due_s in enumerate(_ticks(rate, duration_s)):
            if number % max(1, int(rate * TICK_S)) == 0:
                producer.poll(0)
                time.sleep(max(0.0, due_s - time.monotonic()))
            key, value = self._record(self._now(self._events.of(self._event)))
            producer.produce(topic, value=value, key=key)
        assert producer.flush(FLUSH_S) == 0
        return int(rate * duration_s)

    async def _register(self, topic: str) -> int:
        registry = SchemaRegistry(self._settings)
        try:
            return await registry.register(f"{topic}-value", self._schema.avro)
        finally:
            await registry.aclose()

    def _record(self, event: dict[str, Any]) -> tuple[bytes, bytes]:
        payload = self._schema.parsed.write(self._schema.parsed.from_json(event))
        customer = event["data"]["customerIdentifiers"]["customerId"]
        return str(customer).encode(), wire.confluent(self._schema_id, payload)

    @staticmethod
    def _now(event: dict[str, Any]) -> dict[str, Any]:
        now_ms = int(time.time() * 1000)
        event["createdAt"] = now_ms
        for field in ("billDate", "enteredAt"):
            if field in event["data"]:
                event["data"][field] = now_ms
        return event


def _producer(servers: str) -> Producer:
    return Producer({"bootstrap.servers": servers, "linger.ms": 5, "compression.type": "lz4"})


def _ticks(rate: int, duration_s: float) -> Iterator[float]:
    begin_s = time.monotonic()
    for number in range(int(rate * duration_s)):
        yield begin_s + number / rate
