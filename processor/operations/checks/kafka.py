"""Preflight of Kafka: brokers, source topics, our own topics, and what we may do there."""

import re
import socket
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from processor.errors import Misconfigured
from processor.kafka.admission import CERTIFICATE_MEND, Admission
from processor.kafka.certificates import refused_certificates
from processor.kafka.clients import admin_properties
from processor.operations.checks import rights
from processor.operations.checks.cluster import Cluster, words
from processor.operations.checks.finding import Finding, apart, bad, bad_by, ok, warning
from processor.operations.checks.lag import lag
from processor.operations.checks.letters import foreign_letters
from processor.operations.checks.timestamps import timestamps
from processor.operations.checks.topics import LettersTopic, letters_topic, state_topic
from processor.settings import Settings

METADATA_S = 8.0
CONNECT_S = 3.0


def check_kafka(settings: Settings, *, metadata_s: float = METADATA_S) -> Iterator[Finding]:
    """Look at everything in Kafka that the connector needs; changes nothing. Every step blocks.

    Ends early when no broker answers.

    Args:
        settings: where Kafka is and which topics are meant.
        metadata_s: how long to wait for a broker, in seconds.
    """
    try:
        properties = admin_properties(settings.kafka, f"{settings.name}-check")
        admission = Admission(properties)
        properties["log_level"] = 0  # what librdkafka would log, the findings say
        properties["error_cb"] = admission.error_cb
        admin = AdminClient(properties)
    except Misconfigured as error:
        yield bad_by("kafka", error)
        return
    except KafkaException as error:
        yield bad("kafka", f"{words(error)}.", "Correct [kafka.properties].")
        return
    try:
        metadata = admin.list_topics(timeout=metadata_s)
    except KafkaException as error:
        admin.poll(0)  # hands over what `error_cb` is to hear
        yield _no_broker(admission, properties, words(error))
        return
    brokers = [_broker(broker) for broker in metadata.brokers.values()]
    yield from brokers
    if all(finding.status == "bad" for finding in brokers):
        return  # whatever is asked next would only run into its time limit
    yield from _Parts(Cluster(admin), settings, list(metadata.topics)).findings()


def _no_broker(admission: Admission, properties: Mapping[str, Any], why: str) -> Finding:
    """Nobody answers, or lets us in; of a certificate that fails, what is wrong with it."""
    if admission.cause is not None and admission.cause.certificate:
        for server, reason in refused_certificates(properties, CONNECT_S):
            return bad(
                "kafka", f"The certificate of {server} is refused: {reason}.", CERTIFICATE_MEND
            )
    away = admission.away(why)
    if isinstance(away, Misconfigured):
        return bad_by("kafka", away)
    text, _, mend = str(away).partition(". Check ")
    return bad("kafka", f"{text}.", f"Check {mend}")


def _broker(broker: Any) -> Finding:
    subject, address = f"broker {broker.id}", f"{broker.host}:{broker.port}"
    try:
        socket.create_connection((broker.host, broker.port), timeout=CONNECT_S).close()
    except OSError as error:
        why = error.strerror or "no answer"
        return bad(
            subject,
            f"The cluster names {address}, which cannot be reached from here ({why}).",
            "Correct that broker's advertised.listeners, or the network between.",
        )
    return ok(subject, f"answers at {address}")


class _Parts:
    """The parts of a cluster that answers, one after the other; each may fail alone."""

    def __init__(self, cluster: Cluster, settings: Settings, names: list[str]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._sources = settings.kafka.topics or self._matching(names)
        self._readable: dict[str, int] = {}
        self._letters: dict[str, LettersTopic] = {}

    def findings(self) -> Iterator[Finding]:
        cluster, settings = self._cluster, self._settings
        yield from apart("source topics", self._source_topics)
        group = settings.group_id
        yield from apart(f"group {group}", lambda: [rights.group(cluster, group)])
        yield from apart("lag", lambda: lag(cluster, settings, self._readable))
        yield from apart("timestamps", lambda: timestamps(cluster, self._readable))
        for letters in self._letters.values():
            yield from apart(f"topic {letters.topic}", partial(self._letters_topic, letters))
        there = [letters for letters in self._letters.values() if letters.partitions]
        yield from apart("dead letters", lambda: foreign_letters(cluster, settings, there))
        yield from apart(f"topic {settings.state_topic}", self._state_topic)

    def _matching(self, names: list[str]) -> list[str]:
        pattern = re.compile(self._settings.kafka.topics_regex)
        return sorted(
            name for name in names if pattern.match(name) and not self._settings.is_own_topic(name)
        )

    def _source_topics(self) -> Iterator[Finding]:
        if not self._sources:
            yield warning(
                "source topics",
                "No topic that we may see matches kafka.topics_regex now.",
                "Create the topics, grant DESCRIBE on them, or correct the pattern.",
            )
        for topic in self._sources:
            finding, partitions = rights.source_topic(self._cluster, topic)
            name = self._settings.dead_letter_topic(topic)
            letters = self._letters.setdefault(name, LettersTopic(name, 0))
            letters.sources[topic] = partitions
            if finding.status == "ok":
                self._readable[topic] = partitions
            yield finding

    def _letters_topic(self, letters: LettersTopic) -> Iterator[Finding]:
        wanted = NewTopic(
            letters.topic,
            num_partitions=max(1, *letters.sources.values()),
            replication_factor=self._settings.errors.deadletterqueue_topic_replication_factor,
        )
        finding, letters.partitions = rights.own_topic(
            self._cluster, wanted, "errors.deadletterqueue_topic_replication_factor"
        )
        yield finding
        if letters.partitions:
            yield from letters_topic(self._cluster, letters)

    def _state_topic(self) -> Iterator[Finding]:
        topic = self._settings.state_topic
        wanted = NewTopic(
            topic, num_partitions=1, replication_factor=self._settings.state.replication_factor
        )
        finding, partitions = rights.own_topic(
            self._cluster, wanted, "state.replication_factor", reads=True
        )
        yield finding
        if partitions:
            yield from state_topic(self._cluster, topic, partitions)
