"""Preflight of who else writes to our dead-letter topics."""

import time
from collections import Counter
from collections.abc import Collection, Iterator

from confluent_kafka import KafkaException

from processor.errors import Misconfigured
from processor.kafka.letter import glance
from processor.operations.checks.cluster import Cluster
from processor.operations.checks.finding import Finding, ok, skipped, warning
from processor.operations.checks.rights import odd
from processor.operations.checks.topics import LettersTopic
from processor.operations.reading import Reader
from processor.record import TopicPartition
from processor.settings import Settings

TAIL = 100
"""Records looked at in each partition, the last ones: who writes there now is among them."""

READING_S = 10.0


def foreign_letters(
    cluster: Cluster, settings: Settings, topics: Collection[LettersTopic]
) -> Iterator[Finding]:
    """Look at the last records of each dead-letter topic: whose letters are they?"""
    for letters in topics:
        try:
            yield _of_topic(cluster, settings, letters)
        except Misconfigured:
            yield skipped(
                f"letters in {letters.topic}",
                "They cannot be read with these credentials, which `processor run` does not need.",
                f"Grant READ on topic {letters.topic} to have them looked at, and for "
                "`processor dlq`.",
            )
        except KafkaException as error:
            yield odd(f"letters in {letters.topic}", error)


def _of_topic(cluster: Cluster, settings: Settings, letters: LettersTopic) -> Finding:
    subject = f"letters in {letters.topic}"
    partitions = [TopicPartition(letters.topic, number) for number in range(letters.partitions)]
    starts, ends = cluster.starts(partitions), cluster.ends(partitions)
    spans = {p: (max(starts[p], ends[p] - TAIL), ends[p]) for p in partitions}
    writers: Counter[str | None] = Counter()
    deadline_s = time.monotonic() + READING_S
    with Reader(settings).reading(spans) as reading:
        for records in reading:
            for record in records:
                letter = glance(record)
                writers[letter.connector if letter is not None else None] += 1
            if time.monotonic() > deadline_s:
                break
    seen = writers.total()
    others = sorted(name for name in writers if name and name != settings.name)
    if others:
        return warning(
            subject,
            f"Among the last {seen} are letters of other connectors: {', '.join(others)}.",
            "Give each connector a topic of its own: put {name} into "
            "errors.deadletterqueue_topic_name.",
        )
    if writers[None]:
        return warning(
            subject,
            f"Among the last {seen} records are {writers[None]} that are no dead letters.",
            "See what else writes to the topic; only the connector should.",
        )
    return ok(subject, f"the last {seen} are ours" if seen else "there are none")
