"""Preflight of the records' own times, which retention and every choice by time count by."""

import time
from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import KafkaException

from processor.operations.checks.cluster import Cluster
from processor.operations.checks.finding import Finding, ok, warning
from processor.operations.checks.rights import odd
from processor.record import TopicPartition

AHEAD_S = 300
"""As for this host's clock: beyond it, it is no longer the network."""

NO_TIME_OF_OURS_MS = 1_000_000_000_000
"""September 2001. A time before it is one in seconds where Kafka has milliseconds, or none."""


def timestamps(
    cluster: Cluster,
    topics: Mapping[str, int],
    *,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Iterator[Finding]:
    """Look at the youngest record of each topic.

    Args:
        cluster: where they are.
        topics: source topics that can be read, with their partitions.
        now_ms: this host's clock.
    """
    for topic, count in topics.items():
        subject = f"timestamps of {topic}"
        partitions = [TopicPartition(topic, number) for number in range(count)]
        try:
            youngest_ms = cluster.youngest_ms(partitions)
        except KafkaException as error:
            yield odd(subject, error)
            continue
        yield _judged(subject, youngest_ms, now_ms())


def _judged(subject: str, youngest_ms: int | None, now_ms: int) -> Finding:
    if youngest_ms is None:
        return ok(subject, "there are no records yet")
    ahead_s = (youngest_ms - now_ms) / 1000
    if youngest_ms < NO_TIME_OF_OURS_MS:
        return warning(
            subject,
            f"The youngest record has the time {youngest_ms} ms, which lies before 2001: Kafka "
            "deletes such records at once where it deletes by time.",
            "Correct the producers: Kafka's times are milliseconds since 1970.",
        )
    if ahead_s > AHEAD_S:
        return warning(
            subject,
            f"The youngest record lies {ahead_s:.0f} s in this host's future: retention and "
            "choices by time (--from-datetime, --by-duration) count by it.",
            "Set the producers' clocks by NTP, or message.timestamp.type=LogAppendTime.",
        )
    return ok(subject, "are plausible")
