"""Carries each record from its bytes to its one ending; the screen to read first.

``decode → transform → inlets → (dead letters) → ledger``. A record has ended when all its messages
have an outcome and, if one of them failed, when its dead letter is acknowledged.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from processor.connector.brake import Brake
from processor.connector.delivery import Inlet
from processor.connector.last_words import LastWords, Unsaid
from processor.connector.ledger import DELIVERED, DeadLettered, Ending, Ledger, LeftOut
from processor.connector.passage import Failure, Named, Parcel, Passage, Story
from processor.connector.schema_waiting import SchemaWaiting
from processor.connector.transform import Transform
from processor.connector.valve import Valve
from processor.errors import Code, Filtered, FilterReason, Refused
from processor.record import Record, TopicPartition
from processor.schemas.decoder import Decoder, RegistryMissing, SchemaMissing

AT_ONCE = 32
"""Records that are decoded and mapped before the loop looks at what else there is: at 60 us each,
500 of them would hold answers up for 30 ms, and with these the next message of each key."""


class Graveyard(Protocol):
    """Where records go that cannot be delivered."""

    def bury(self, passage: Passage, acknowledged: Callable[[Passage], None]) -> None:
        """Write the dead letter, for as long as it takes; then call ``acknowledged`` once."""


class Pipeline:
    """The way of a record through one task; owned by the task's event loop.

    Args:
        brake: holds what fails alike; `None`: each becomes a dead letter.
        read_story: for records of a dead-letter topic, what they say of their first life.
        last_words: told which record is worked on; refuses one that this process must not touch.
        stop_at_fault: called instead of writing a dead letter when ``errors.tolerance`` is none.
        later: calls back when the loop has looked at everything else.
        delivered: called for each delivered record with its Kafka timestamp in milliseconds.
        ended: called for each record that has ended, and how.
        unmapped: called with the event's name for each record that ended because nothing maps it.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        decoder: Decoder,
        transform: Transform,
        inlets: Mapping[str, Inlet],
        graveyard: Graveyard,
        waiting: SchemaWaiting,
        valve: Valve,
        delivered: Callable[[int], None],
        brake: Brake | None = None,
        read_story: Callable[[Record], Story | None] = lambda _record: None,
        last_words: LastWords | None = None,
        stop_at_fault: Callable[[Passage], None] | None = None,
        later: Callable[[Callable[[], None]], object] = lambda call: call(),
        ended: Callable[[Passage, Ending], None] | None = None,
        unmapped: Callable[[str], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._decoder = decoder
        self._transform = transform
        self._inlets = inlets
        self._graveyard = graveyard
        self._waiting = waiting
        self._valve = valve
        self._delivered = delivered
        self._brake = brake
        self._read_story = read_story
        self._last_words = last_words or Unsaid()
        self._stop_at_fault = stop_at_fault
        self._ended = ended
        self._unmapped = unmapped
        self._entering: deque[Passage] = deque()
        self._halted = False
        self._later = later
        self._going_on = False

    def carry(self, records: Iterable[Record]) -> None:
        """Take polled records and start them on their way; never waits.

        Records of a partition that is no longer assigned are dropped: they are someone else's.
        """
        by_partition = groupby(records, key=lambda r: TopicPartition(r.topic, r.partition))
        for partition, group in by_partition:
            taken = self._ledger.take(partition, group)
            if taken is not None:
                for record in taken.records:
                    passage = Passage(record, taken.epoch, story=self._read_story(record))
                    self._entering.append(passage)
        self._go_on()
        self._valve.check()

    def given_back(self) -> None:
        """Forget what belongs to partitions that are not ours any more, and make room."""
        for inlet in self._inlets.values():
            inlet.sweep()
        self._waiting.sweep(self._is_ours)
        if self._brake is not None:
            self._brake.sweep(self._is_ours)
        self._entering = deque(filter(self._is_ours, self._entering))
        self._go_on()
        self._valve.check()

    def look(self) -> None:
        """See what has not moved for a while; at least once a second."""
        self._valve.check()

    def _is_ours(self, passage: Passage) -> bool:
        return self._ledger.is_current(passage.partition, passage.epoch)

    def _go_on(self) -> None:
        """Start those that have not entered, in order, some at a time."""
        if self._may_enter and not self._going_on:
            self._going_on = True
            self._later(self._go_on_now)

    def _go_on_now(self) -> None:
        try:
            for _ in range(AT_ONCE):
                if not self._may_enter:
                    break
                self._enter(self._entering.popleft())
        finally:
            self._going_on = False
        self._go_on()

    @property
    def _may_enter(self) -> bool:
        """Whether one is there and may start, and there is room for its messages.

        What a record grows to shows only when its messages are made, and a schema that was waited
        for lets go of thousands at once.
        """
        braked = self._brake is not None and self._brake.on
        may = not braked and not self._halted
        return bool(self._entering) and may and self._valve.has_room()

    def _enter(self, passage: Passage) -> None:
        if self._waiting.holds(passage):
            self._waiting.join(passage)
        else:
            self._start(passage)

    def _start(self, passage: Passage) -> None:
        """Decode and transform one record, and submit its messages."""
        try:
            self._last_words.begin(passage.record)
            event = self._decoder.decode(passage.record)
            passage.event = Named(event.name, event.event_id, event.schema_id)
            parcels = self._transform.parcels(passage, event)
        except (SchemaMissing, RegistryMissing) as missing:
            self._waiting.wait_for(missing.key, passage, self._resume)
            return
        except Filtered as filtered:
            self._leave_out(passage, filtered.reason, filtered.event_name)
            return
        except Refused as error:
            passage.keep_name(error.event_name, error.event_id)
            self._fail(passage, [Failure("", error)])
            return
        except MemoryError:
            raise  # whatever took the memory, it need not be this record
        except Exception:
            self._last_words.stay()
            raise
        finally:
            self._last_words.end()
        if self._brake is not None:
            self._brake.decoded()
            self._brake.shaped(passage)
        self._submit(passage, parcels)

    def _resume(self, passages: Sequence[Passage]) -> None:
        """Go on with records whose writer schema is known now, or known to be refused."""
        ours = [passage for passage in passages if self._is_ours(passage)]
        probes = [p for p in ours if self._brake is not None and self._brake.is_probe(p)]
        for probe in probes:
            self._start(probe)
        # Before those that have not entered: of one key, those came later.
        self._entering.extendleft(p for p in reversed(ours) if p not in probes)
        self._go_on()
        self._valve.check()

    # What the brake asks for.

    def probe(self, passage: Passage) -> None:
        """Try one record again, at once."""
        passage.start_again()
        self._start(passage)

    def again(self, passages: Sequence[Passage]) -> None:
        """Start these again, each before those that stand behind it in its partition."""
        for passage in passages:
            passage.start_again()
        if passages:
            entering = [*passages, *self._entering]
            self._entering = deque(sorted(entering, key=lambda passage: passage.record.position))
        self._go_on()
        self._valve.check()

    def bury(self, passage: Passage) -> None:
        """Write the dead letter of a record that has failed."""
        self._graveyard.bury(passage, self._buried)

    def idle(self) -> bool:
        """Whether nothing is on its way to Experience Platform."""
        return all(inlet.idle for inlet in self._inlets.values())

    def halt(self) -> None:
        """Start no more of those that have not entered: whoever goes on reads them again."""
        self._halted = True

    def resting(self) -> Counter[TopicPartition]:
        """Records in flight that do not end by themselves, by partition: none is sent of them.

        Those that the brake holds, and what stands behind them or was halted.
        """
        if self._brake is not None and self._brake.on:
            held = self._brake.resting()
        elif self._halted:
            held = Counter()
        else:
            return Counter()
        return held + Counter(passage.partition for passage in self._entering)

    def _submit(self, passage: Passage, parcels: Sequence[Parcel]) -> None:
        passage.open = len(parcels)
        self._made(passage, sum(len(parcel.message.body) for parcel in parcels))
        for parcel in parcels:
            self._inlets[parcel.message.target].submit(parcel)
        if not parcels:
            if passage.failures:
                self._fail(passage, passage.failures)
            else:
                reason = FilterReason.STALE if passage.stale else FilterReason.NO_TARGET
                self._leave_out(passage, reason)

    def outcome(self, parcel: Parcel, failure: Failure | None) -> None:
        """Take one message's outcome; the inlets call it once for each parcel."""
        passage = parcel.passage
        passage.open -= 1
        if failure is not None:
            passage.failures.append(failure)
        if passage.open:
            return
        if passage.failures:
            self._made(passage, 0)
            self._fail(passage, passage.failures)
            self._go_on()
            return
        if self._brake is not None:
            self._brake.passed(passage)
        if self._end(passage, DELIVERED) and passage.record.timestamp_ms is not None:
            self._delivered(passage.record.timestamp_ms)

    def _made(self, passage: Passage, size: int) -> None:
        """Have the messages of a record counted, while there are any."""
        self._ledger.made(passage.partition, passage.epoch, passage.record.offset, size)

    def _fail(self, passage: Passage, failures: list[Failure]) -> None:
        passage.failures = failures
        if not self._is_ours(passage):
            return
        if self._stop_at_fault is not None:
            self._stop_at_fault(passage)
        elif self._brake is not None and self._brake.holds(passage):
            self._valve.check()
        else:
            self._graveyard.bury(passage, self._buried)

    def _buried(self, passage: Passage) -> None:
        if self._brake is not None:
            self._brake.dead_lettered(passage)
        self._end(passage, DeadLettered(main_code(passage)))

    def _leave_out(self, passage: Passage, reason: FilterReason, event_name: str = "") -> None:
        if self._brake is not None:
            self._brake.left_out(passage)
        ended = self._end(passage, LeftOut(reason))
        if ended and self._unmapped is not None and reason is FilterReason.UNMAPPED_EVENT:
            self._unmapped(event_name)

    def _end(self, passage: Passage, ending: Ending) -> bool:
        partition = passage.partition
        ended = self._ledger.end(partition, passage.epoch, passage.record.offset, ending)
        if ended and self._ended is not None:
            self._ended(passage, ending)
        self._go_on()
        self._valve.check(partition)
        return ended


def main_code(passage: Passage) -> Code:
    """The code under which a dead letter is counted: that of its first failure."""
    return passage.failures[0].error.code
