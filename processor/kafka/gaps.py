"""The offset to read is not in the log: say so, and go on only where the settings allow it."""

from collections.abc import Callable, Sequence
from typing import Literal

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.kafka.intake import Intake, Start, Teller
from processor.kafka.origins import Origins
from processor.kafka.ownership import Ownership
from processor.kafka.pausing import Pausing
from processor.kafka.progress import Mark, Origin
from processor.kafka.recreated import is_another
from processor.record import TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

LOOKUP_S = 10.0

Policy = Literal["pause", "earliest", "latest"]


class Gaps:
    """Reports offsets that are out of range, on the consumer's thread.

    Args:
        policy: hold the partition for a person, or go on at the log's start or end.
        cooperative: whether single partitions may be assigned.
        of_group: whether the consumer is a member of the group that it commits for.
        origins: whose offsets a topic's are.
        drain: ends what was read of partitions that are to be read from elsewhere; may take as
            long as a revocation. What is behind a gap nobody could read once more.
    """

    def __init__(
        self,
        policy: Policy,
        intake: Intake,
        tell: Teller,
        ours: Ownership,
        pausing: Pausing,
        *,
        cooperative: bool,
        of_group: bool,
        origins: Origins,
        drain: Callable[[Consumer, Sequence[TopicPartition]], None],
    ) -> None:
        self._policy = policy
        self._intake = intake
        self._tell = tell
        self._ours = ours
        self._pausing = pausing
        self._cooperative = cooperative
        self._of_group = of_group
        self._origins = origins
        self._drain = drain

    def met(self, consumer: Consumer, partition: TopicPartition, offset: int | None) -> None:
        """Report the gap, and do as the policy says."""
        low, high = _log_of(consumer, partition)
        gap = _count(offset, high if self._policy == "latest" else low)
        log.error(
            "The offset to read is out of range.",
            partition=str(partition),
            offset=offset,
            log_start=low,
            log_end=high,
            policy=self._policy,
            gap=gap,
        )
        origin = self._origins([partition.topic]).get(partition.topic)
        known = self._ours.origins().get(partition)
        if origin is not None and known is not None and is_another(origin, known[1]):
            self.recreated(consumer, partition, origin)
        elif self._policy == "pause":
            self._pausing.hold(consumer, partition)
            text = (
                f"The committed offset of {partition} is out of range (it is {offset}, the log "
                f"holds {low} to {high}): {_offsets(gap)} are gone, or the topic was recreated. "
                "Reset the offset, or set kafka.on_offset_out_of_range."
            )
            who = str(partition)
            self._tell(self._intake.trouble, "offset_out_of_range", text, who=who, of_setup=True)
        else:
            self._drain(consumer, [partition])
            if self._policy == "earliest":
                place = OFFSET_BEGINNING if low is None else low
            else:
                place = OFFSET_END if high is None else high
            self._begin_anew(consumer, partition, place, origin)

    def recreated(self, consumer: Consumer, partition: TopicPartition, origin: Origin) -> None:
        """Read a topic that was deleted and made anew from its first record."""
        log.warning(
            "The topic was deleted and made anew: it is read from its first record.",
            partition=str(partition),
        )
        low, _ = _log_of(consumer, partition)
        self._pausing.held.discard(partition)  # for what the old log had
        place = OFFSET_BEGINNING if low is None else low
        self._begin_anew(consumer, partition, place, origin)

    def _begin_anew(
        self, consumer: Consumer, partition: TopicPartition, offset: int, origin: Origin | None
    ) -> None:
        """Read a partition from another offset, as a new assignment.

        Librdkafka does not seek once a partition's offset was out of range. And the offsets may be
        those of other records now, so what is in flight must not count for them.
        """
        place = KafkaPartition(*partition, offset)
        if self._cooperative:
            consumer.incremental_unassign([place])
            consumer.incremental_assign([place])
        else:
            others = [p for p in consumer.assignment() if (p.topic, p.partition) != partition]
            read = {(p.topic, p.partition): p.offset for p in consumer.position(others)}
            for other in others:
                position = read[other.topic, other.partition]
                other.offset = position if position >= 0 else other.offset
            consumer.assign([*others, place])
        self._pausing.assigned(consumer, consumer.assignment())
        # What had ended beyond the old offset may be other records now: it is not handed on.
        starts = self._ours.gained({partition: Start(None, origin=origin)})
        self._tell(self._intake.lost, [partition])
        self._tell(self._intake.assigned, starts)
        if self._of_group and offset >= 0:
            # Else a restart before the next record would find the old offset, and skip again.
            mark = Mark(offset, generation=starts[partition].generation)
            self._ours.commit(consumer, {partition: mark}, wait=False)


def _count(offset: int | None, goes_on_at: int | None) -> int | None:
    """How many offsets are not read; `None`: nobody says."""
    if offset is None or offset < 0 or goes_on_at is None:
        return None
    return max(0, goes_on_at - offset)


def _offsets(gap: int | None) -> str:
    return f"{gap} offsets" if gap else "records"


def _log_of(consumer: Consumer, partition: TopicPartition) -> tuple[int | None, int | None]:
    """First offset of a partition's log and the one after the last; `None`: nobody says."""
    try:
        return consumer.get_watermark_offsets(KafkaPartition(*partition), timeout=LOOKUP_S)
    except KafkaException:
        return None, None
