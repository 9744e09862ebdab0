"""Librdkafka's in-process mock cluster, and a task that only listens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pytest
from confluent_kafka import Producer

from processor.kafka.intake import Start
from processor.kafka.progress import Mark
from processor.record import Record, TopicPartition
from processor.settings.models import KafkaSettings

QUIET = {"log_level": 0}


class MockCluster:
    """One broker inside this process; topics come into being when they are written to."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", **QUIET})
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def settings(self, **properties: Any) -> KafkaSettings:
        return KafkaSettings(
            bootstrap_servers=self.address, topics=["events"], properties=QUIET, consumer=properties
        )

    def produce(self, topic: str, partition: int, *values: bytes, **named: Any) -> None:
        for value in values:
            self._producer.produce(topic, value, partition=partition, **named)
        assert self._producer.flush(10) == 0


class Listener:
    """Hears what the source tells; takes every batch unless told not to."""

    def __init__(self) -> None:
        self.source: Any = None
        self.takes = True
        self.records: list[Record] = []
        self.batches = 0
        self.assignments: list[dict[TopicPartition, int | None]] = []
        self.starts: dict[TopicPartition, Start] = {}
        self.revocations: list[list[TopicPartition]] = []
        self.losses: list[list[TopicPartition]] = []
        self.commits: list[tuple[dict[TopicPartition, Mark], str | None]] = []
        self.lags: dict[TopicPartition, int] = {}
        self.troubles: list[tuple[str, str, str, bool]] = []
        self.over: list[tuple[str, str]] = []
        self.exhaustions = 0
        self.failures: list[Exception] = []
        self.story: list[str] = []
        self.watermarks: dict[TopicPartition, Mark] = {}

    def assigned(self, starts: Mapping[TopicPartition, Start]) -> None:
        self.assignments.append({p: start.offset for p, start in starts.items()})
        self.starts |= starts
        self.story.append("assigned")

    def revoking(
        self,
        partitions: Sequence[TopicPartition],
        drained: Callable[[Mapping[TopicPartition, Mark]], None],
    ) -> None:
        self.revocations.append(list(partitions))
        self.story.append("revoking")
        drained({p: m for p, m in self.watermarks.items() if p in partitions})

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.losses.append(list(partitions))
        self.story.append("lost")

    def arrived(self, records: Sequence[Record]) -> None:
        self.records += records
        self.batches += 1
        self.story.append("arrived")
        if self.takes:
            self.source.taken()

    def committed(self, marks: Mapping[TopicPartition, Mark], error: str | None) -> None:
        self.commits.append((dict(marks), error))

    def lagging(self, lags: Mapping[TopicPartition, int]) -> None:
        self.lags = dict(lags)

    def trouble(self, reason: str, message: str, *, who: str, of_setup: bool) -> None:
        self.troubles.append((reason, message, who, of_setup))

    def trouble_over(self, reason: str, *, who: str) -> None:
        self.over.append((reason, who))

    def exhausted(self) -> None:
        self.exhaustions += 1
        self.story.append("exhausted")

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def offsets(self, partition: int = 0) -> list[int]:
        return [r.offset for r in self.records if r.partition == partition]


class NewListener(Protocol):
    def __call__(self) -> Listener: ...


@pytest.fixture(scope="session")
def cluster() -> MockCluster:
    return MockCluster()


@pytest.fixture
def listener() -> NewListener:
    return Listener
