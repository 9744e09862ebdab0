"""Preflight of Kafka: brokers, source topics, our own topics, and what we may do there."""

import re
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicDescription,
)

from processor.errors import Misconfigured
from processor.kafka.clients import admin_properties, error_of
from processor.operations.checks.finding import Finding, bad, bad_by, ok
from processor.settings import Settings
from processor.telemetry.logs import redact

METADATA_S = 8.0
REQUEST_S = 8.0
CONNECT_S = 3.0

_DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)
_NO_COORDINATOR_YET = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""A cluster answers so while it makes the topic of its groups, when it is asked for the first."""

_PAUSE_S = 0.25
_DETAIL = re.compile(r" \(after \d+ms in state [A-Z_]+\)|^\S+/(?:bootstrap|\d+): ")


def check_kafka(settings: Settings, *, metadata_s: float = METADATA_S) -> Iterator[Finding]:
    """Look at everything in Kafka that the connector needs; changes nothing. Every step blocks.

    Ends early when no broker answers.

    Args:
        settings: where Kafka is and which topics are meant.
        metadata_s: how long to wait for a broker, in seconds.
    """
    servers = settings.kafka.bootstrap_servers
    complaints: Counter[str] = Counter()
    try:
        properties = admin_properties(settings.kafka, f"{settings.name}-check")
        properties["log_level"] = 0  # what librdkafka would log, the findings say
        properties["error_cb"] = lambda error: _note(complaints, error)
        admin = AdminClient(properties)
    except Misconfigured as error:
        yield bad_by("kafka", error)
        return
    except KafkaException as error:
        yield bad("kafka", f"{_words(error)}.", "Correct [kafka.properties].")
        return
    try:
        metadata = admin.list_topics(timeout=metadata_s)
    except KafkaException as error:
        admin.poll(0)  # hands over what `error_cb` is to hear
        why = complaints.most_common(1)[0][0] if complaints else _words(error)
        yield bad(
            "kafka",
            f"No broker of {servers} answers: {why}.",
            "Check kafka.bootstrap_servers, the network, and security.protocol and the "
            "credentials in [kafka.properties].",
        )
        return
    brokers = [_broker(broker) for broker in metadata.brokers.values()]
    yield from brokers
    if all(finding.status == "bad" for finding in brokers):
        return  # whatever is asked next would only run into its time limit
    yield from _Cluster(admin, settings, list(metadata.topics)).findings()


def _note(complaints: Counter[str], error: KafkaError) -> None:
    if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's name for it
        complaints[redact(_DETAIL.sub("", error.str()))] += 1


def _words(error: KafkaException) -> str:
    known = error_of(error)
    return redact(known.str() if known is not None else str(error)).rstrip(".")


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


class _Cluster:
    """A cluster that answers, and what the connector needs there."""

    def __init__(self, admin: AdminClient, settings: Settings, names: list[str]) -> None:
        self._admin = admin
        self._settings = settings
        self._sources = settings.kafka.topics or self._matching(names)

    def _matching(self, names: list[str]) -> list[str]:
        pattern = re.compile(self._settings.kafka.topics_regex)
        return sorted(
            name for name in names if pattern.match(name) and not self._settings.is_own_topic(name)
        )

    def findings(self) -> Iterator[Finding]:
        if not self._sources:
            yield Finding(
                "source topics",
                "warning",
                "No topic that we may see matches kafka.topics_regex now.",
                "Create the topics, grant DESCRIBE on them, or correct the pattern.",
            )
        letters: dict[str, int] = {}
        for topic in self._sources:
            finding, partitions = self._source(topic)
            own = self._settings.dead_letter_topic(topic)
            letters[own] = max(partitions, letters.get(own, 1))
            yield finding
        yield self._group()
        for topic, partitions in letters.items():
            yield self._own(
                NewTopic(
                    topic,
                    num_partitions=partitions,
                    replication_factor=self._settings.errors.deadletterqueue_topic_replication_factor,
                ),
                "errors.deadletterqueue_topic_replication_factor",
            )
        yield self._state()

    def _describe(self, topic: str) -> TopicDescription:
        futures = self._admin.describe_topics(
            TopicCollection([topic]),
            include_authorized_operations=True,
            request_timeout=REQUEST_S,
        )
        described: TopicDescription = futures[topic].result(timeout=2 * REQUEST_S)
        return described

    def _source(self, topic: str) -> tuple[Finding, int]:
        """The finding, and how many partitions the topic has; 1 when that is not known."""
        subject = f"topic {topic}"
        try:
            found = self._describe(topic)
        except KafkaException as error:
            if _is(error, _DENIED):
                return _denied(subject, "seen", f"DESCRIBE and READ on {subject}"), 1
            if _is(error, {KafkaError.UNKNOWN_TOPIC_OR_PART}):
                return bad(subject, "It does not exist.", "Create it, or correct kafka.topics."), 1
            return _odd(subject, error), 1
        count = len(found.partitions)
        if not _may(AclOperation.READ, found.authorized_operations):
            return _denied(subject, "read", f"READ on {subject}"), count
        partitions: list[Any] = found.partitions  # a leader may be None, whatever its type says
        leaderless = [str(one.id) for one in partitions if one.leader is None]
        if leaderless:
            message = f"These partitions have no leader: {', '.join(leaderless)}."
            return bad(subject, message, "Bring back the brokers that hold them."), count
        return ok(subject, f"can be read, {count} partition{'s' * (count != 1)}"), count

    def _group(self) -> Finding:
        subject = f"group {self._settings.group_id}"
        try:
            found = self._describe_group(self._settings.group_id)
        except KafkaException as error:
            if _is(error, _DENIED):
                return _denied(subject, "joined", f"READ on {subject}")
            if _is(error, {KafkaError.GROUP_ID_NOT_FOUND}):
                return ok(subject, "does not exist yet; the first task makes it")
            return _odd(subject, error)
        if not _may(AclOperation.READ, found.authorized_operations):
            return _denied(subject, "joined", f"READ on {subject}")
        members = len(found.members)
        return ok(subject, f"can be joined, {members} member{'s' * (members != 1)} now")

    def _describe_group(self, group: str) -> Any:
        deadline_s = time.monotonic() + REQUEST_S
        while True:
            futures = self._admin.describe_consumer_groups(
                [group], include_authorized_operations=True, request_timeout=REQUEST_S
            )
            try:
                return futures[group].result(timeout=2 * REQUEST_S)
            except KafkaException as error:
                if not _is(error, _NO_COORDINATOR_YET) or time.monotonic() > deadline_s:
                    raise
            time.sleep(_PAUSE_S)

    def _own(self, wanted: NewTopic, factor_key: str, *, reads: bool = False) -> Finding:
        """A topic that we write, and perhaps read: it is there and we may, or could be created."""
        subject = f"topic {wanted.topic}"
        try:
            found = self._describe(wanted.topic)
        except KafkaException as error:
            if _is(error, _DENIED | {KafkaError.UNKNOWN_TOPIC_OR_PART}):
                return self._creatable(wanted, factor_key)
            return _odd(subject, error)
        if not _may(AclOperation.WRITE, found.authorized_operations):
            return _denied(subject, "written", f"WRITE on {subject}")
        if reads and not _may(AclOperation.READ, found.authorized_operations):
            return _denied(subject, "read", f"READ on {subject}")
        return ok(subject, "can be written and read" if reads else "can be written")

    def _creatable(self, wanted: NewTopic, factor_key: str) -> Finding:
        subject = f"topic {wanted.topic}"
        futures = self._admin.create_topics(
            [wanted], validate_only=True, operation_timeout=REQUEST_S, request_timeout=REQUEST_S
        )
        try:
            futures[wanted.topic].result(timeout=2 * REQUEST_S)
        except KafkaException as error:
            if _is(error, _DENIED | {KafkaError.TOPIC_ALREADY_EXISTS}):
                return _denied(
                    subject, "seen or created", f"CREATE, DESCRIBE and WRITE on {subject}"
                )
            by_factor = _is(error, {KafkaError.INVALID_REPLICATION_FACTOR})
            return bad(
                subject,
                f"It does not exist, and cannot be created: {_words(error)}.",
                f"Lower {factor_key}." if by_factor else "Create it by hand.",
            )
        return ok(subject, "does not exist yet; it will be created")

    def _state(self) -> Finding:
        topic = self._settings.state_topic
        wanted = NewTopic(
            topic, num_partitions=1, replication_factor=self._settings.state.replication_factor
        )
        finding = self._own(wanted, "state.replication_factor", reads=True)
        policy = self._cleanup_policy(topic) if finding.status == "ok" else None
        if policy is None or policy == "compact":
            return finding
        return bad(
            finding.subject,
            f"Its cleanup.policy is {policy}: the connector's state would expire.",
            "Set cleanup.policy=compact on it.",
        )

    def _cleanup_policy(self, topic: str) -> str | None:
        """The policy of an existing topic; `None` when there is none or it cannot be seen."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        futures = self._admin.describe_configs([resource], request_timeout=REQUEST_S)
        try:
            return str(futures[resource].result(timeout=2 * REQUEST_S)["cleanup.policy"].value)
        except (KafkaException, KeyError):
            return None


def _is(error: KafkaException, codes: frozenset[int] | set[int]) -> bool:
    known = error_of(error)
    return known is not None and known.code() in codes


def _may(operation: AclOperation, granted: Collection[Enum] | None) -> bool:
    """Whether an operation is granted; a broker that does not say lets it pass."""
    return not granted or operation in granted or AclOperation.ALL in granted


def _denied(subject: str, verb: str, right: str) -> Finding:
    return bad(subject, f"It may not be {verb} with these credentials.", f"Grant {right}.")


def _odd(subject: str, error: KafkaException) -> Finding:
    return bad(subject, f"It cannot be looked up: {_words(error)}.", "Look at the broker's log.")
