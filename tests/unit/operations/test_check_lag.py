"""Lag against retention, where a real broker would have to be made to forget or to refuse."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import OffsetSpec

from processor.operations.checks.cluster import Cluster
from processor.operations.checks.finding import Finding
from processor.operations.checks.lag import lag
from processor.record import TopicPartition
from processor.settings import KafkaSettings, Settings

TOPIC = "events"
PLACE = TopicPartition(TOPIC, 0)
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


class ScriptedCluster(Cluster):
    """One partition of ten records, the first written ten days ago, one a day; three are read."""

    def __init__(self, configs: Mapping[str, str] | None, refuses: int | None = None) -> None:
        self._configs = configs
        self._refuses = refuses

    def committed(self, group: str) -> dict[TopicPartition, int]:
        if self._refuses is not None:
            raise KafkaException(KafkaError(self._refuses))
        return {PLACE: 3, TopicPartition("another", 0): 1}

    def starts(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)

    def configs(self, topic: str) -> Mapping[str, str] | None:
        return self._configs

    def offsets(
        self, partitions: Collection[TopicPartition], spec: OffsetSpec
    ) -> dict[TopicPartition, int]:
        asked_ms = spec._value  # noqa: SLF001 - confluent-kafka gives it no name
        days = (NOW_MS - asked_ms) / DAY_MS
        return dict.fromkeys(partitions, max(0, math.ceil(10 - days)))


def found(configs: Mapping[str, str] | None, refuses: int | None = None) -> Finding:
    kafka = KafkaSettings(bootstrap_servers="b:1", topics=[TOPIC])
    settings = Settings.model_construct(name="c", kafka=kafka)
    cluster = ScriptedCluster(configs, refuses)
    (finding,) = lag(cluster, settings, {TOPIC: 1}, now_ms=lambda: NOW_MS)
    return finding


@pytest.mark.parametrize(
    ("configs", "status", "words"),
    [
        ({"retention.ms": str(7 * DAY_MS)}, "bad", "older than 90% of the 168.0 hours"),
        ({"retention.ms": str(10 * DAY_MS)}, "warning", "2 of them are older than 50%"),
        ({"retention.ms": str(30 * DAY_MS)}, "ok", "keeps records for 720 hours"),
        ({"retention.ms": "-1"}, "ok", "time deletes no record"),
        ({"retention.ms": "1", "cleanup.policy": "compact"}, "ok", "time deletes no record"),
        ({"retention.ms": "1", "cleanup.policy": "compact,delete"}, "bad", "read or not"),
        ({"retention.ms": str(30 * DAY_MS), "retention.bytes": "5"}, "ok", "more than 5 bytes"),
        (None, "skipped", "how long the topic keeps records cannot be seen"),
    ],
)
def test_what_is_left_of_the_time(
    configs: Mapping[str, str] | None, status: str, words: str
) -> None:
    finding = found(configs)

    assert finding.status == status
    assert words in finding.message
    assert "7 records behind" in finding.message


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "skipped"),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, "bad"),
    ],
)
def test_offsets_that_are_not_told(code: Any, status: str) -> None:
    assert found({}, code).status == status
