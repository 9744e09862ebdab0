"""A consumer group's offsets in Kafka: what it has committed, who is in it, and setting them."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
)
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import ConsumerGroupDescription, OffsetSpec

from processor.errors import Misconfigured, TryAgain
from processor.kafka.clients import error_of
from processor.kafka.progress import NOTHING, Ended, Ignored, Mark, Origin, read
from processor.operations.reading import ANSWER_S, DENIED, Reader
from processor.record import TopicPartition
from processor.telemetry.logs import redact

NO_GROUP = frozenset({KafkaError.GROUP_ID_NOT_FOUND, KafkaError.UNKNOWN_TOPIC_OR_PART})
SOON = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""The broker that keeps the group is finding its feet; so is one that has just been started."""

IN_USE = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.NON_EMPTY_GROUP,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
    }
)
"""What a broker answers to offsets from outside a group that has members (tried with 4.1, with the
classic protocol and with KIP-848)."""

ASK_AGAIN_S = 0.2
IDLE = frozenset({ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD})


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a consumer group.

    Attributes:
        host: as the broker sees it.
        partitions: that it has now.
    """

    id: str
    client_id: str
    host: str
    partitions: frozenset[TopicPartition]

    def __str__(self) -> str:
        return f"{self.client_id} at {self.host} ({self.id})"


@dataclass(frozen=True, slots=True)
class GroupNow:
    """A consumer group as the broker describes it.

    Attributes:
        state: in Kafka's words: ``stable``, ``empty``, ``dead`` (there is no such group) …
        active: whether somebody is in it, or is just joining; then nobody else may set its offsets.
    """

    name: str
    state: str
    active: bool
    members: tuple[Member, ...] = ()

    def holder(self, partition: TopicPartition) -> Member | None:
        """Who has a partition now."""
        return next((m for m in self.members if partition in m.partitions), None)


def ended_beyond(mark: Mark, origin: Origin | None, end: int) -> tuple[Ended, str]:
    """What had ended beyond a committed offset, and why its metadata is ignored if it is.

    Args:
        mark: as the broker reports it.
        origin: of the partition, `None` when the broker does not tell.
        end: the offset after the log's last record.
    """
    try:
        return read(mark.metadata, mark.offset, origin, end), ""
    except Ignored as why:
        return NOTHING, str(why)


class GroupReader(Reader):
    """As :class:`Reader`, and knows what a consumer group has committed; it joins none."""

    def marks(
        self, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, Mark]:
        """What a group has committed; a partition without a committed offset is left out.

        Args:
            group: its id.
            partitions: `None`: all that it has committed anything for.

        Raises:
            TryAgain: no broker answers.
            Misconfigured: Kafka refuses us.
        """
        if partitions is not None and not partitions:
            return {}
        places = [KafkaPartition(p.topic, p.partition) for p in partitions or ()]
        asked = [ConsumerGroupTopicPartitions(group, places or None)]
        until_s = time.monotonic() + ANSWER_S
        while True:
            try:
                futures = self._admin.list_consumer_group_offsets(asked, request_timeout=ANSWER_S)
                found = futures[group].result().topic_partitions
                _raise_first(place.error for place in found)
            except KafkaException as raised:
                error = error_of(raised)
                if error is not None and error.code() in NO_GROUP:
                    return {}
                if error is not None and error.code() in SOON and time.monotonic() < until_s:
                    time.sleep(ASK_AGAIN_S)
                    continue
                raise self._fault(raised, f"tell the offsets of group {group}") from raised
            return {
                TopicPartition(p.topic, p.partition): Mark(p.offset, p.metadata or "")
                for p in found
                if p.offset >= 0
            }

    def written(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record, those of unfinished transactions included.

        Raises:
            TryAgain: no broker answers.
            Misconfigured: Kafka refuses us.
        """
        return self._offsets(
            partitions,
            OffsetSpec.latest(),  # type: ignore[no-untyped-call] # its stub has no annotation
            isolation=IsolationLevel.READ_UNCOMMITTED,
        )

    def group(self, name: str) -> GroupNow:
        """The state of a group and who is in it.

        Raises:
            TryAgain: no broker answers.
            Misconfigured: Kafka refuses us.
        """
        until_s = time.monotonic() + ANSWER_S
        while True:
            try:
                asked = self._admin.describe_consumer_groups([name], request_timeout=ANSWER_S)
                return _group_now(name, asked[name].result())
            except KafkaException as raised:
                error = error_of(raised)
                if error is not None and error.code() in NO_GROUP:
                    return GroupNow(name, "dead", active=False)
                if error is not None and error.code() in SOON and time.monotonic() < until_s:
                    time.sleep(ASK_AGAIN_S)
                    continue
                raise self._fault(raised, f"describe group {name}") from raised

    def _fault(self, raised: KafkaException, doing: str) -> TryAgain | Misconfigured:
        error = error_of(raised)
        if error is not None and error.code() in DENIED:
            return Misconfigured(
                f"Kafka refuses to {doing}: {redact(error.str())}.",
                mend="Grant this client Describe on the group; to set offsets, Read on the group "
                "and its topics; to delete them, Delete on the group.",
                reason="kafka",
            )
        return self._away(raised)


class GroupWriter(GroupReader):
    """As :class:`GroupReader`, and sets the offsets of a group that nobody is in."""

    def set_marks(self, group: str, marks: Mapping[TopicPartition, Mark]) -> None:
        """Commit these offsets, with their metadata, in one request.

        Raises:
            TryAgain: no broker answers, or somebody is in the group; the message says which.
            Misconfigured: Kafka refuses us.
        """
        if not marks:
            return
        places = [KafkaPartition(*p, m.offset, metadata=m.metadata) for p, m in marks.items()]
        asked = [ConsumerGroupTopicPartitions(group, places)]
        try:
            futures = self._admin.alter_consumer_group_offsets(asked, request_timeout=ANSWER_S)
            _raise_first((p.error for p in futures[group].result().topic_partitions), let_by=())
        except KafkaException as raised:
            raise self._not_set(raised, group) from raised

    def forget(self, group: str) -> None:
        """Delete a group with all that it has committed; there need not be one.

        Kafka can delete single offsets (KIP-496), but its Python client has no call for that.

        Raises:
            TryAgain: no broker answers, or somebody is in the group.
            Misconfigured: Kafka refuses us.
        """
        try:
            asked = self._admin.delete_consumer_groups([group], request_timeout=ANSWER_S)
            asked[group].result()
        except KafkaException as raised:
            error = error_of(raised)
            if error is None or error.code() not in NO_GROUP:
                raise self._not_set(raised, group) from raised

    def _not_set(self, raised: KafkaException, group: str) -> TryAgain | Misconfigured:
        error = error_of(raised)
        if error is not None and error.code() in IN_USE:
            return TryAgain(
                f"Kafka does not let the offsets of group {group} be set: somebody has joined it.",
                reason="kafka",
            )
        return self._fault(raised, f"set the offsets of group {group}")


def _group_now(name: str, found: ConsumerGroupDescription) -> GroupNow:
    members = tuple(
        Member(
            m.member_id,
            m.client_id,
            m.host,
            frozenset(TopicPartition(p.topic, p.partition) for p in m.assignment.topic_partitions),
        )
        for m in found.members
    )
    active = bool(members) or found.state not in IDLE
    return GroupNow(name, found.state.name.lower(), active=active, members=members)


def _raise_first(
    errors: Iterable[KafkaError | None], *, let_by: Collection[int] = NO_GROUP
) -> None:
    for error in errors:
        if error is not None and error.code() not in let_by:
            raise KafkaException(error)
