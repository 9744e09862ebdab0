"""The one thread that owns the consumer: it polls, pauses, commits and gets the rebalances.

The task's event loop never touches the consumer. What happens here is handed to the loop, in
order, through :class:`Intake`; what the loop wants is put into this thread's queue of orders.
Polling never stops: when the loop has enough, the partitions are paused and the polls come back
empty, so a slow destination never costs the group membership.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from processor.kafka.admission import Admission, Complaint
from processor.kafka.clients import error_of
from processor.kafka.credentials import Credentials
from processor.kafka.gaps import Gaps
from processor.kafka.intake import ConsumerEnded, Intake, Ranges, Subscription, Teller
from processor.kafka.lag import Lag
from processor.kafka.membership import Membership, is_cooperative
from processor.kafka.origins import Origins, origins_unknown
from processor.kafka.ownership import Ownership, kafka_partitions
from processor.kafka.pausing import Pausing
from processor.kafka.portions import Portions
from processor.kafka.progress import Mark
from processor.kafka.records import partition_of, record_of
from processor.kafka.recreated import Recreations
from processor.record import Record, TopicPartition
from processor.telemetry.logs import get_logger

__all__ = ["Intake", "Ranges", "Source", "Subscription"]

log = get_logger(__name__)

POLL_S = 0.1
BATCHES_AHEAD = 2
"""Polled portions that may wait for the loop; more would only hide its back-pressure."""

STALL_BEFORE_PAUSE_S = 1.0
"""A pause throws away what was fetched ahead, so a short stall just does not ask for more."""

LAG_EVERY_S = 1.0

END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's names for its errors
OUT_OF_RANGE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
UNREADABLE = frozenset(
    {
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
    }
)
"""Librdkafka skips a batch that fails its checksum; we must not."""

FATAL = KafkaError._FATAL  # noqa: SLF001
"""How a poll gives an error that ended the client, such as that another has our instance's id: it
is not marked as fatal itself."""

DENIED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})


class Source:
    """Reads records on a thread of its own.

    Args:
        post: hands a call to the task's event loop, as ``loop.call_soon_threadsafe`` does.
        drain_timeout_s: how long a revocation waits for its partitions to drain.
        origins: asks whose offsets a topic's are, on the thread; decides on commit metadata.
        credentials: the password as it stands in its file; `None`: it does not change.
        open_consumer: makes the consumer, on the thread.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        reads: Subscription | Ranges,
        intake: Intake,
        *,
        post: Callable[..., object],
        drain_timeout_s: float,
        origins: Origins = origins_unknown,
        credentials: Credentials | None = None,
        open_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        self._open = open_consumer
        self._properties = dict(properties)
        self._reads = reads
        self._ranges = reads if isinstance(reads, Ranges) else None
        self._unread = set() if self._ranges is None else self._ranges.left()
        self._exhausted = False
        self._intake = intake
        self._ending, self._closing = threading.Event(), threading.Event()
        self._tell = Teller(post, failed=intake.failed, gone=self._closing.set)
        self._ours = Ownership(partial(self._tell, intake.committed))
        self._pausing = Pausing()
        self._portions = Portions()
        self._membership = self._member(drain_timeout_s, origins)
        self._gaps = Gaps(
            # Of a range nobody can bring back what is gone: it goes on with the rest.
            "earliest" if isinstance(reads, Ranges) else reads.out_of_range,
            intake,
            self._tell,
            self._ours,
            self._pausing,
            cooperative=self._membership is None or self._membership.cooperative,
            of_group=self._membership is not None,
            origins=origins,
            drain=_undrained if self._membership is None else self._membership.hand_over,
        )
        self._orders: queue.SimpleQueue[Callable[[Consumer], None]] = queue.SimpleQueue()
        self._recreations = Recreations(self._ours, origins, self._orders.put, self._gaps.recreated)
        self._handed, self._taken = 0, 0
        self._took = threading.Event()
        self._flowing = True
        self._stalled_since_s: float | None = None
        self._lag, self._lag_due_s = Lag(self._ours, self._pausing), 0.0
        self._away = False
        self._admission = Admission(properties, self._kept_out)
        self._credentials = credentials
        self._thread = threading.Thread(target=self._run, name="source", daemon=True)

    def _member(self, drain_timeout_s: float, origins: Origins) -> Membership | None:
        if isinstance(self._reads, Ranges):
            return None
        return Membership(
            self._reads,
            self._intake,
            self._tell,
            self._ours,
            self._pausing,
            cooperative=is_cooperative(self._properties),
            drain_timeout_s=drain_timeout_s,
            origins=origins,
            ending=self._ending,
            closing=self._closing,
        )

    # From the loop.

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def flow(self, *, on: bool) -> None:
        """Say whether more records are wanted."""
        self._flowing = on

    def rest(self, partitions: Iterable[TopicPartition]) -> None:
        """Say of which partitions no more is wanted for now; of the others it is."""
        self._orders.put(lambda consumer: self._pausing.rest(consumer, partitions))

    def taken(self) -> None:
        """Say that the loop has taken one batch of those that arrived."""
        self._taken += 1
        self._took.set()

    def commit(self, marks: Mapping[TopicPartition, Mark]) -> None:
        """Commit this; :meth:`Intake.committed` tells what came of it."""

        def order(consumer: Consumer) -> None:
            self._ours.commit(consumer, marks, wait=False)

        self._orders.put(order)

    def close(self, marks: Mapping[TopicPartition, Mark], timeout_s: float) -> bool:
        """Commit this, leave the group and end the thread; blocks.

        Returns:
            Whether the commit was acknowledged and the thread ended in time.
        """
        acknowledged = not marks

        def order(consumer: Consumer) -> None:
            nonlocal acknowledged
            acknowledged = self._ours.commit(consumer, marks, wait=True)
            self._closing.set()

        self._orders.put(order)
        self._ending.set()
        self._thread.join(timeout_s)
        return acknowledged and not self._thread.is_alive()

    # On the thread.

    def _run(self) -> None:
        consumer: Consumer | None = None
        try:
            consumer = self._consumer()
            self._begin(consumer)
            while not self._closing.is_set():
                self._turn(consumer)
        except Exception as error:  # noqa: BLE001 - a thread's end must reach the task
            self._tell(self._intake.failed, error)
        finally:
            self._closing.set()
            if consumer is not None:
                consumer.close()

    def _consumer(self) -> Consumer:
        properties: dict[str, Any] = {
            **self._properties,
            "on_commit": self._ours.answered,
            "error_cb": self._admission.error_cb,
            "enable.partition.eof": self._ranges is not None,
        }
        try:
            return self._open(properties)
        except KafkaException as raised:
            raise ConsumerEnded(f"its properties are refused: {error_of(raised)}") from raised

    def _begin(self, consumer: Consumer) -> None:
        if self._membership is not None:
            self._membership.join(consumer)
        elif self._ranges is not None:
            begun = self._ours.gained({p: self._ranges.first(p) for p in self._unread})
            self._tell(self._intake.assigned, begun)
            consumer.assign(kafka_partitions({p: s.offset or 0 for p, s in begun.items()}))
            self._tell_when_exhausted()

    def _turn(self, consumer: Consumer) -> None:
        while not self._orders.empty():
            self._orders.get()(consumer)
        if self._closing.is_set():
            return
        if self._flowing and self._room(0.0 if self._pausing.everything else POLL_S):
            self._stalled_since_s = None
            if self._pausing.everything:
                self._pausing.resume(consumer)
            self._read(consumer)
        else:
            self._stall(consumer)
        self._recreations.turn()
        if time.monotonic() >= self._lag_due_s:
            self._lag_due_s = time.monotonic() + LAG_EVERY_S
            if self._membership is not None:
                self._tell(self._intake.lagging, self._lag.look(consumer))
            if self._credentials is not None:
                self._credentials.renew(consumer)
            if self._away:
                self._look_for_brokers(consumer)

    def _room(self, wait_s: float) -> bool:
        """Whether the loop has taken enough of what it was handed, now or within this time."""
        self._took.clear()
        if self._handed - self._taken >= BATCHES_AHEAD:
            self._took.wait(wait_s)
        return self._handed - self._taken < BATCHES_AHEAD

    def _stall(self, consumer: Consumer) -> None:
        now_s = time.monotonic()
        self._stalled_since_s = self._stalled_since_s or now_s
        if self._pausing.everything:
            self._read(consumer)
        elif now_s - self._stalled_since_s >= STALL_BEFORE_PAUSE_S:
            self._pausing.pause(consumer)
        elif not self._flowing:
            self._ending.wait(POLL_S / 10)

    def _read(self, consumer: Consumer) -> None:
        """Poll once and hand on what came."""
        records: list[Record] = []
        for message in self._portions.poll(consumer, POLL_S):
            error = message.error()
            if error is not None:
                # Before what comes of it: that may be a new assignment, which these are not of.
                self._hand_on(records)
                records = []
                self._event(consumer, message, error)
            elif self._pausing.held and partition_of(message) in self._pausing.held:
                continue
            elif self._ranges is None or self._wanted(consumer, message, self._ranges):
                records.append(record_of(message))
        self._hand_on(records)
        self._tell_when_exhausted()

    def _hand_on(self, records: list[Record]) -> None:
        if records:
            self._handed += 1
            self._tell(self._intake.arrived, records)

    def _wanted(self, consumer: Consumer, message: Message, ranges: Ranges) -> bool:
        """Whether a record lies in its range, and is asked for."""
        partition = partition_of(message)
        start, end = ranges.spans[partition]
        offset = message.offset() or 0
        if offset >= end - 1:
            self._range_read(consumer, partition)
        return start <= offset < end and ranges.wanted(partition, offset)

    def _range_read(self, consumer: Consumer, partition: TopicPartition) -> None:
        if partition in self._unread and partition not in self._pausing.held:
            self._unread.discard(partition)
            self._pausing.hold(consumer, partition)

    def _tell_when_exhausted(self) -> None:
        """After the last records have been handed on, never before: they would be dropped."""
        if self._ranges is not None and not self._unread and not self._exhausted:
            self._exhausted = True
            self._tell(self._intake.exhausted)

    # What is no record.

    def _event(self, consumer: Consumer, message: Message, error: KafkaError) -> None:
        code, partition = error.code(), partition_of(message)
        if code in OUT_OF_RANGE | UNREADABLE and not _is_assigned(consumer, partition):
            return  # revoked in the same poll
        if code == END_OF_PARTITION:
            self._range_read(consumer, partition)
        elif code in OUT_OF_RANGE:
            self._gaps.met(consumer, partition, message.offset())
        elif code in UNREADABLE:
            self._pausing.hold(consumer, partition)
            text = (
                f"A batch of {partition} at offset {message.offset()} is corrupt: {error.str()}. "
                "Nothing of it is skipped: mend the broker's log, or move the offset beyond it."
            )
            self._trouble("corrupt", text, who=str(partition), of_setup=True)
        elif code in DENIED:
            text = f"Kafka refuses to let us read {message.topic() or 'the group'}: {error.str()}."
            self._trouble("kafka", text, who=str(partition) if message.topic() else "")
        elif code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            text = f"Topic {message.topic()} does not exist; waiting for it."
            self._trouble("kafka", text, who=message.topic() or "")
        elif code == FATAL or error.fatal():
            raise ConsumerEnded(f"{error.str()} ({error.name()})")
        else:
            log.warning("Kafka reported an error; the client retries.", error=error.str())

    # What is told now and then.

    def _look_for_brokers(self, consumer: Consumer) -> None:
        """Ask, for librdkafka tells when the last broker goes, not when one is back."""
        try:
            consumer.list_topics(timeout=1.0)
        except KafkaException:
            return
        self._away = False
        self._admission.forget()
        self._tell(self._intake.trouble_over, "kafka", who="")

    def _kept_out(self, complaint: Complaint) -> None:
        self._away = True
        self._trouble("kafka", str(complaint), who="", of_setup=complaint.of_setup)

    def _trouble(self, reason: str, text: str, *, who: str, of_setup: bool = True) -> None:
        self._tell(self._intake.trouble, reason, text, who=who, of_setup=of_setup)


def _undrained(_consumer: Consumer, _partitions: Sequence[TopicPartition]) -> None:
    """A range is handed over to nobody: what is in flight of it is given back."""


def _is_assigned(consumer: Consumer, partition: TopicPartition) -> bool:
    return any((p.topic, p.partition) == partition for p in consumer.assignment())
