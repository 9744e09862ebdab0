from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.connector.ledger import (
    DELIVERED,
    FULL_BITS,
    ROOM_BITS,
    ROOMY_BITS,
    Ledger,
    ReleaseReason,
)
from processor.connector.valve import MADE_BYTES, Valve, most_in_flight
from processor.kafka.progress import BITS_PER_OPEN, Origin
from processor.record import Record, TopicPartition
from processor.settings.models import DeliverySettings

PARTITION = TopicPartition("events", 0)


class Tap:
    """A ledger with partitions of one topic, a valve over it, and what the valve said."""

    def __init__(
        self, *, max_records: int = 10, max_bytes: int = 1000, partitions: int = 1
    ) -> None:
        self.ledger = Ledger()
        for number in range(partitions):
            self.ledger.assign(TopicPartition("events", number), committed=None)
        self.turned: list[bool] = []
        self.rested: list[Iterable[TopicPartition]] = []
        self.now_s = 1000.0
        self.shut = False
        self.valve = Valve(
            self.ledger,
            max_records=max_records,
            max_bytes=max_bytes,
            turn=self.turned.append,
            rest=self.rested.append,
            shut=lambda: self.shut,
            clock=lambda: self.now_s,
        )
        self.next = 0

    @property
    def open(self) -> bool:
        return not self.turned or self.turned[-1]

    @property
    def resting(self) -> set[int]:
        return {p.partition for p in self.rested[-1]} if self.rested else set()

    def take(self, count: int, size: int = 1, partition: int = 0) -> None:
        offsets = range(self.next, self.next + count)
        self.ledger.take(
            TopicPartition("events", partition),
            [Record("events", partition, n, value=b"x" * size) for n in offsets],
        )
        self.next += count
        self.valve.check()

    def end(self, *offsets: int, partition: int = 0) -> None:
        where = TopicPartition("events", partition)
        for offset in offsets:
            self.ledger.end(where, self.ledger.epoch_of(where) or 0, offset, DELIVERED)
            self.valve.check(where)

    def end_some(self, count: int, partition: int) -> None:
        """The last so many of those that were taken, all of this partition."""
        self.end(*range(self.next - count, self.next), partition=partition)

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.valve.check()


def test_it_closes_when_enough_is_in_flight() -> None:
    tap = Tap()

    tap.take(7)
    below = list(tap.turned)
    tap.take(1)

    assert below == []
    assert tap.turned == [False]


def test_it_closes_when_the_bytes_are_enough() -> None:
    tap = Tap(max_bytes=1000)

    tap.take(2, size=374)
    below = list(tap.turned)
    tap.take(1, size=2)

    assert below == []
    assert tap.turned == [False]


def test_messages_made_of_the_records_count_as_well() -> None:
    tap = Tap(max_bytes=1000)
    tap.take(1, size=100)

    tap.ledger.made(PARTITION, tap.ledger.epoch_of(PARTITION) or 0, 0, 649)
    tap.valve.check()
    below = list(tap.turned)
    tap.ledger.made(PARTITION, tap.ledger.epoch_of(PARTITION) or 0, 0, 650)
    tap.valve.check()

    assert below == []
    assert tap.turned == [False]


def test_no_more_messages_are_made_while_there_are_enough() -> None:
    tap = Tap()
    tap.take(3)
    tap.ledger.made(PARTITION, tap.ledger.epoch_of(PARTITION) or 0, 0, MADE_BYTES - 1)
    room = [tap.valve.has_room()]

    tap.ledger.made(PARTITION, tap.ledger.epoch_of(PARTITION) or 0, 1, 1)
    room.append(tap.valve.has_room())
    tap.end(1)
    room.append(tap.valve.has_room())

    assert room == [True, False, True]


def test_it_opens_again_at_half_and_not_before() -> None:
    tap = Tap()
    tap.take(12)

    tap.end(*range(6))
    before = list(tap.turned)
    tap.end(6)

    assert before == [False]
    assert tap.turned == [False, True]


def test_it_stays_closed_while_the_bytes_are_more_than_half() -> None:
    tap = Tap(max_bytes=1000)
    tap.take(1, size=900)
    tap.take(9)

    tap.end(*range(1, 10))
    before = list(tap.turned)
    tap.end(0)

    assert before == [False]
    assert tap.turned == [False, True]


def test_a_partition_that_is_given_back_makes_room() -> None:
    tap = Tap()
    tap.take(10)

    tap.ledger.release(PARTITION, ReleaseReason.LOST)
    tap.valve.check()

    assert tap.turned == [False, True]


@given(st.lists(st.integers(0, 6), max_size=60))
def test_it_only_turns_when_that_changes_something(polls: list[int]) -> None:
    tap = Tap()

    for count in polls:
        if not tap.turned or tap.turned[-1]:
            tap.take(count)
        else:
            tap.end(tap.next - tap.ledger.in_flight_count)

    assert tap.turned == [n % 2 == 1 for n in range(len(tap.turned))]
    assert tap.ledger.in_flight_count < 10 + 6


def without_room(*partitions: int) -> Tap:
    """Of two partitions, in each of these nothing more would fit into the metadata."""
    tap = Tap(max_records=100_000, max_bytes=1_000_000, partitions=2)
    for number in (0, 1):
        origin = Origin("cluster", "topic")
        tap.ledger.assign(TopicPartition("events", number), committed=0, origin=origin)
    for number in partitions:
        tap.take(AT_THE_EDGE, partition=number)
    return tap


AT_THE_EDGE = int(FULL_BITS / BITS_PER_OPEN) + 1
"""Records in flight of a partition, none of which has ended, that make it full."""

TO_HAVE_ROOM = AT_THE_EDGE - int(ROOM_BITS / BITS_PER_OPEN)
TO_HAVE_AMPLE_ROOM = AT_THE_EDGE - int(ROOMY_BITS / BITS_PER_OPEN)


def test_only_the_partition_rests_whose_metadata_has_no_room_and_it_goes_on_when_it_has() -> None:
    tap = without_room(0)
    full = tap.resting
    tap.end(*range(TO_HAVE_AMPLE_ROOM - 1))
    before = tap.resting
    tap.end(TO_HAVE_AMPLE_ROOM - 1)

    assert [full, before, tap.resting] == [{0}, {0}, set()]
    assert tap.turned == []


def test_where_no_partition_has_room_the_last_one_does_not_rest_but_the_valve_closes() -> None:
    tap = without_room(0, 1)

    assert tap.resting == {0}
    assert not tap.open


@pytest.mark.parametrize("rested_s", [0.0, 10.0])
def test_it_opens_as_soon_as_the_last_one_has_room_again(rested_s: float) -> None:
    tap = without_room(0, 1)

    tap.passes(rested_s)
    first = AT_THE_EDGE
    tap.end(*range(first, first + TO_HAVE_ROOM - 1), partition=1)
    before = tap.open
    tap.end(first + TO_HAVE_ROOM - 1, partition=1)

    assert [before, tap.open, tap.resting] == [False, True, {0}]


def test_it_opens_when_one_that_rested_has_ample_room() -> None:
    tap = without_room(0, 1)

    tap.end(*range(TO_HAVE_AMPLE_ROOM - 1))
    before = tap.open
    tap.end(TO_HAVE_AMPLE_ROOM - 1)

    assert [before, tap.open, tap.resting] == [False, True, {1}]


def test_an_only_partition_never_rests_and_has_not_to_wait_for_half_of_all() -> None:
    tap = Tap(max_records=AT_THE_EDGE * 3 // 2, max_bytes=1_000_000)
    tap.ledger.assign(PARTITION, committed=0, origin=Origin("cluster", "topic"))

    tap.take(AT_THE_EDGE)
    full = tap.open
    tap.end(*range(TO_HAVE_ROOM))

    assert [full, tap.open] == [False, True]
    assert tap.rested == []


def test_beside_one_that_rests_because_it_does_not_move_the_last_one_does_not_rest() -> None:
    tap = Tap(max_records=100_000, max_bytes=200_000, partitions=2)
    origin = Origin("cluster", "topic")
    tap.ledger.assign(TopicPartition("events", 1), committed=0, origin=origin)
    tap.take(150, size=1000)
    tap.passes(1)

    before = tap.open
    tap.take(AT_THE_EDGE, partition=1)

    assert [before, tap.open, tap.resting] == [True, False, {0}]


def test_a_partition_that_is_given_back_without_room_blocks_nobody() -> None:
    tap = without_room(0, 1)

    tap.ledger.release(TopicPartition("events", 1), ReleaseReason.REVOKED)
    tap.valve.check()
    blocked = tap.open
    tap.ledger.release(TopicPartition("events", 0), ReleaseReason.REVOKED)
    tap.valve.check()

    assert [blocked, tap.open, tap.resting] == [False, True, set()]


def test_where_enough_is_in_flight_room_in_the_metadata_does_not_open_it() -> None:
    tap = Tap(max_records=AT_THE_EDGE, max_bytes=1_000_000)
    tap.ledger.assign(PARTITION, committed=0, origin=Origin("cluster", "topic"))

    tap.take(AT_THE_EDGE)
    tap.end(*range(AT_THE_EDGE * 5 // 10 - 1))
    before = tap.open
    tap.end(*range(AT_THE_EDGE * 5 // 10 - 1, AT_THE_EDGE * 5 // 10 + 1))

    assert [before, tap.open] == [False, True]


@pytest.mark.parametrize(("batch", "in_flight", "most"), [(500, 16, 16_000), (1, 1, 2)])
def test_the_bound_is_the_documented_formula(batch: int, in_flight: int, most: int) -> None:
    settings = DeliverySettings(batch_max_records=batch, max_in_flight=in_flight)

    assert most_in_flight(settings) == most


def test_a_smallest_bound_still_lets_something_through(record: Callable[..., Record]) -> None:
    tap = Tap(max_records=2)

    tap.take(2)
    tap.end(0)

    assert tap.turned == [False, True]


def test_where_nothing_moves_those_with_most_rest_and_the_others_go_on() -> None:
    tap = Tap(max_records=400, partitions=4)
    tap.take(270)
    tap.take(26, partition=1)
    tap.take(4, partition=2)
    closed = tap.open, tap.resting

    tap.passes(0.9)
    soon = tap.open, tap.resting
    tap.passes(0.1)

    assert closed == soon == (False, set())
    assert (tap.open, tap.resting) == (True, {0, 1})


def test_a_turn_of_the_valve_comes_after_the_order_to_rest() -> None:
    tap = Tap(partitions=2)
    said: list[str] = []
    tap.valve._turn = lambda on: said.append(f"flow {on}")  # noqa: SLF001 - one list for both
    tap.valve._rest = lambda partitions: said.append(f"rest {len(list(partitions))}")  # noqa: SLF001

    tap.take(8)
    tap.passes(1.0)

    assert said == ["flow False", "rest 1", "flow True"]


def test_what_moves_is_not_stalled_however_often_it_is_full() -> None:
    tap = Tap(partitions=2)
    for _ in range(20):
        tap.take(8)
        tap.passes(0.9)
        tap.end_some(8, partition=0)

    assert tap.rested == []
    assert tap.turned == [False, True] * 20


def test_one_that_goes_on_may_hold_its_share_and_no_more() -> None:
    tap = Tap(max_records=400, partitions=4)
    tap.take(300)
    tap.passes(1.0)

    tap.take(25, partition=1)
    its_share = tap.open
    tap.take(1, partition=1)
    more = tap.open
    tap.end_some(13, partition=1)
    half = tap.open
    tap.end(tap.next - 14, partition=1)

    assert (its_share, more, half, tap.open) == (True, False, False, True)
    assert tap.resting == {0}, "it moves"


def test_of_those_that_go_on_one_that_does_not_move_either_rests_as_well() -> None:
    tap = Tap(max_records=400, partitions=4)
    tap.take(300)
    tap.passes(1.0)
    tap.take(60, partition=1)

    tap.passes(0.9)
    before = tap.open, tap.resting
    tap.passes(0.1)

    assert before == (False, {0})
    assert (tap.open, tap.resting) == (True, {0, 1})


def test_one_rests_until_it_holds_half_a_share_and_all_until_half_is_enough() -> None:
    tap = Tap(max_records=400, partitions=4)
    tap.take(200)
    tap.take(100, partition=1)
    tap.passes(1.0)
    tap.end(*range(200, 287), partition=1)
    before = tap.resting
    tap.end(287, partition=1)
    one = tap.resting
    tap.end(*range(11))
    tap.valve.check()
    still = tap.resting
    tap.end(11)

    assert (before, one, still, tap.resting) == ({0, 1}, {0}, {0}, set())
    assert tap.turned == [False, True]


def test_however_full_it_was_there_is_a_quarter_for_the_others() -> None:
    tap = Tap(max_records=40, partitions=2)
    tap.take(500)

    tap.passes(1.0)
    tap.take(5, partition=1)
    room = tap.open
    tap.take(1, partition=1)

    assert room
    assert not tap.open


def test_when_the_quarter_is_used_up_nobody_gets_more() -> None:
    tap = Tap(max_records=400, partitions=4)
    tap.take(300)
    for partition in (1, 2):
        tap.passes(1.0)
        tap.take(60, partition=partition)
    tap.passes(1.0)

    assert tap.ledger.in_flight_count == 420
    assert not tap.open


def test_a_partition_that_is_given_back_neither_rests_nor_counts() -> None:
    tap = Tap(max_records=400, partitions=3)
    tap.take(150)
    tap.take(150, partition=1)
    tap.passes(1.0)

    tap.ledger.release(PARTITION, ReleaseReason.REVOKED)
    tap.valve.check()

    assert tap.resting == set(), "and what is left is less than half"
    tap.ledger.assign(PARTITION, committed=None)
    tap.take(150)
    tap.take(1, partition=1)
    assert (tap.open, tap.resting) == (False, set())


def test_while_it_is_shut_nobody_goes_on() -> None:
    tap = Tap(max_records=400, partitions=2)
    tap.take(300)
    tap.shut = True
    for _ in range(5):
        tap.passes(1.0)
    shut = tap.open, tap.resting

    tap.shut = False
    tap.passes(0.5)
    soon = tap.open
    tap.passes(0.5)

    assert shut == (False, set())
    assert (soon, tap.open, tap.resting) == (False, True, {0})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.floats(0, 1.2)), max_size=80))
def test_whatever_happens_memory_is_bounded_and_a_partition_with_nothing_in_flight_may_go_on(
    steps: list[tuple[int, int, float]],
) -> None:
    tap = Tap(max_records=400, partitions=4)
    for partition, count, seconds in steps:
        if tap.open and partition not in tap.resting:
            tap.take(count, partition=partition)
        tap.passes(seconds)

    assert tap.ledger.in_flight_count < 400 + 60 + 60
    tap.passes(1.0)
    idle = {p.partition for p in tap.ledger.partitions() if not tap.ledger.open_in(p)}
    assert not idle & tap.resting
    assert tap.open or tap.ledger.in_flight_count >= 400
