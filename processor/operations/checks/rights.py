"""Preflight of what we may do in Kafka: source topics, group, dead-letter topics, state topic.

Nothing is tried: a broker says with each description which operations are granted, and a topic
that is missing is created with ``validate_only``. Whether a missing topic could also be written
cannot be seen so; Describe can, and each of Read and Write brings it along.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation, NewTopic

from processor.operations.checks.cluster import DENIED, Cluster, is_one, lacking, words
from processor.operations.checks.finding import Finding, bad, ok

_READING = (AclOperation.DESCRIBE, AclOperation.READ)
_WRITING = (AclOperation.DESCRIBE, AclOperation.WRITE)
_BOTH = (AclOperation.DESCRIBE, AclOperation.READ, AclOperation.WRITE)


def source_topic(cluster: Cluster, topic: str) -> tuple[Finding, int]:
    """Whether a topic can be read, and how many partitions it has; 0 when that is not known."""
    subject = f"topic {topic}"
    try:
        found = cluster.topic(topic)
    except KafkaException as error:
        if is_one(error, DENIED):
            return _denied(subject, "seen", _READING), 0
        if is_one(error, {KafkaError.UNKNOWN_TOPIC_OR_PART}):
            return bad(subject, "It does not exist.", "Create it, or correct kafka.topics."), 0
        return odd(subject, error), 0
    count = len(found.partitions)
    if missing := lacking(_READING, found.authorized_operations):
        return _denied(subject, "read", missing), count
    leaderless = _leaderless(found.partitions)
    if leaderless:
        message = f"These partitions have no leader: {', '.join(leaderless)}."
        return bad(subject, message, "Bring back the brokers that hold them."), count
    return ok(subject, f"can be read, {_partitions(count)}"), count


def group(cluster: Cluster, name: str) -> Finding:
    """Whether the consumer group can be joined."""
    subject = f"group {name}"
    try:
        found = cluster.group(name)
    except KafkaException as error:
        if is_one(error, DENIED):
            return _denied(subject, "joined", (AclOperation.READ,))
        if is_one(error, {KafkaError.GROUP_ID_NOT_FOUND}):
            return ok(subject, "does not exist yet; the first task makes it")
        return odd(subject, error)
    if missing := lacking((AclOperation.READ,), found.authorized_operations):
        return _denied(subject, "joined", missing)
    members = len(found.members)
    return ok(subject, f"can be joined, {members} member{'s' * (members != 1)} now")


def own_topic(
    cluster: Cluster, wanted: NewTopic, factor_key: str, *, reads: bool = False
) -> tuple[Finding, int]:
    """Whether a topic of ours can be written, or created; and its partitions, 0 when it is missing.

    Args:
        cluster: where it is.
        wanted: how it would be created.
        factor_key: the setting of its replication factor.
        reads: we read it, too.
    """
    subject = f"topic {wanted.topic}"
    needed = _BOTH if reads else _WRITING
    try:
        found = cluster.topic(wanted.topic)
    except KafkaException as error:
        if is_one(error, DENIED):
            return _creatable(cluster, wanted, factor_key, hidden=needed), 0
        if is_one(error, {KafkaError.UNKNOWN_TOPIC_OR_PART}):
            return _creatable(cluster, wanted, factor_key), 0
        return odd(subject, error), 0
    count = len(found.partitions)
    if missing := lacking(needed, found.authorized_operations):
        verb = "written" if AclOperation.WRITE in missing else "read"
        return _denied(subject, verb, missing), count
    leaderless = _leaderless(found.partitions)
    if leaderless:
        message = f"These partitions have no leader: {', '.join(leaderless)}."
        return bad(subject, message, "Bring back the brokers that hold them."), count
    can = "can be written and read" if reads else "can be written"
    return ok(subject, f"{can}, {_partitions(count)}"), count


def _creatable(
    cluster: Cluster, wanted: NewTopic, factor_key: str, *, hidden: Sequence[AclOperation] = ()
) -> Finding:
    """Whether a missing topic could be created; `hidden` is needed and not granted."""
    subject = f"topic {wanted.topic}"
    try:
        cluster.would_create(wanted)
    except KafkaException as error:
        if is_one(error, DENIED | {KafkaError.TOPIC_ALREADY_EXISTS}):
            what = "seen or created" if hidden else "created, and it does not exist"
            return _denied(subject, what, (AclOperation.CREATE, *hidden))
        by_factor = is_one(error, {KafkaError.INVALID_REPLICATION_FACTOR})
        return bad(
            subject,
            f"It does not exist, and cannot be created: {words(error)}.",
            f"Lower {factor_key}." if by_factor else "Create it by hand.",
        )
    if hidden:
        return _denied(subject, "used once it is created", hidden)
    return ok(subject, "does not exist yet; it will be created")


def _leaderless(partitions: Sequence[object]) -> list[str]:
    """Numbers of the partitions without a leader, which may be None whatever its type says."""
    return [str(one.id) for one in partitions if one.leader is None]  # type: ignore[attr-defined] # a TopicPartitionInfo


def _partitions(count: int) -> str:
    return f"{count} partition{'s' * (count != 1)}"


def _denied(subject: str, verb: str, missing: Sequence[AclOperation]) -> Finding:
    *others, last = [operation.name for operation in missing]
    right = f"{', '.join(others)} and {last}" if others else last
    return bad(
        subject, f"It may not be {verb} with these credentials.", f"Grant {right} on {subject}."
    )


def odd(subject: str, error: KafkaException) -> Finding:
    """Kafka failed to answer a question about it."""
    return bad(subject, f"It cannot be looked up: {words(error)}.", "Look at the broker's log.")
