"""What the preflight asks a Kafka cluster; every call blocks, is bounded, and changes nothing."""

import time
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicDescription,
)

from processor.kafka.clients import error_of
from processor.record import TopicPartition
from processor.telemetry.logs import redact

REQUEST_S = 8.0

DENIED = frozenset(
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


class Cluster:
    """A cluster that answers.

    Each call raises KafkaException when it is refused, or nobody answers within `REQUEST_S`.
    """

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    def topic(self, topic: str) -> TopicDescription:
        """A topic, and what we may do with it."""
        futures = self._admin.describe_topics(
            TopicCollection([topic]),
            include_authorized_operations=True,
            request_timeout=REQUEST_S,
        )
        described: TopicDescription = futures[topic].result(timeout=2 * REQUEST_S)
        return described

    def group(self, group: str) -> Any:
        """A consumer group, and what we may do with it; waits while the cluster makes its topic."""
        deadline_s = time.monotonic() + REQUEST_S
        while True:
            futures = self._admin.describe_consumer_groups(
                [group], include_authorized_operations=True, request_timeout=REQUEST_S
            )
            try:
                return futures[group].result(timeout=2 * REQUEST_S)
            except KafkaException as error:
                if not is_one(error, _NO_COORDINATOR_YET) or time.monotonic() > deadline_s:
                    raise
            time.sleep(_PAUSE_S)

    def would_create(self, topic: NewTopic) -> None:
        """Ask whether a topic could be created; it is not."""
        futures = self._admin.create_topics(
            [topic], validate_only=True, operation_timeout=REQUEST_S, request_timeout=REQUEST_S
        )
        futures[topic.topic].result(timeout=2 * REQUEST_S)

    def configs(self, topic: str) -> Mapping[str, str] | None:
        """The settings of a topic that is there; `None`: we may not see them."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        futures = self._admin.describe_configs([resource], request_timeout=REQUEST_S)
        try:
            found = futures[resource].result(timeout=2 * REQUEST_S)
        except KafkaException as error:
            if is_one(error, DENIED):
                return None
            raise
        return {name: str(entry.value) for name, entry in found.items()}

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """What a group has committed; nothing when there is no such group."""
        wanted = [ConsumerGroupTopicPartitions(group)]
        futures = self._admin.list_consumer_group_offsets(wanted, request_timeout=REQUEST_S)
        found = futures[group].result(timeout=2 * REQUEST_S).topic_partitions or []
        return {
            TopicPartition(p.topic, p.partition): p.offset
            for p in found
            if p.error is None and p.offset >= 0
        }

    def offsets(
        self, partitions: Collection[TopicPartition], spec: OffsetSpec
    ) -> dict[TopicPartition, int]:
        """The offset that answers to a specification, in each partition; -1: none does."""
        if not partitions:
            return {}
        asked = {KafkaPartition(p.topic, p.partition): spec for p in partitions}
        answers = self._admin.list_offsets(asked, request_timeout=REQUEST_S)
        return {
            TopicPartition(p.topic, p.partition): future.result(timeout=2 * REQUEST_S).offset
            for p, future in answers.items()
        }

    def youngest_ms(self, partitions: Collection[TopicPartition]) -> int | None:
        """The latest timestamp of any record, in milliseconds; `None`: there is no record."""
        spec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call] # its stub has no annotation
        asked = {KafkaPartition(p.topic, p.partition): spec for p in partitions}
        answers = self._admin.list_offsets(asked, request_timeout=REQUEST_S)
        found = [future.result(timeout=2 * REQUEST_S) for future in answers.values()]
        return max((one.timestamp for one in found if one.offset >= 0), default=None)

    def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record. Likewise `starts`: of the first."""
        return self.offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call] # its stub has no annotation

    def starts(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the first record that is still there."""
        return self.offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call] # its stub has no annotation


def is_one(error: KafkaException, codes: Collection[int]) -> bool:
    """Whether an exception is one of these Kafka errors."""
    known = error_of(error)
    return known is not None and known.code() in codes


def lacking(
    needed: Collection[AclOperation], granted: Collection[Enum] | None
) -> list[AclOperation]:
    """What is not granted of what is needed; a broker that does not say lets everything pass."""
    if not granted or AclOperation.ALL in granted:
        return []
    return [operation for operation in needed if operation not in granted]


def words(error: KafkaException) -> str:
    """What an exception says, fit for a sentence."""
    known = error_of(error)
    return redact(known.str() if known is not None else str(error)).rstrip(".")
