from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.connector.ledger import DELIVERED, Ledger, ReleaseReason
from processor.connector.valve import MADE_BYTES, Valve, most_in_flight
from processor.kafka.progress import Origin
from processor.record import Record, TopicPartition
from processor.settings.models import DeliverySettings

PARTITION, OTHER = TopicPartition("events", 0), TopicPartition("events", 1)


class Parked:
    """What is parked, by partition: so many records of so many bytes."""

    def __init__(self) -> None:
        self.parked: dict[TopicPartition, int] = {}
        self.each_bytes = 0

    def parked_bytes(self, partition: TopicPartition) -> int:
        return self.parked[partition] * self.each_bytes


class Tap:
    """A ledger with one partition, a valve over it, and what the valve said."""

    def __init__(self, *, max_records: int = 10, max_bytes: int = 1000) -> None:
        self.ledger = Ledger()
        self.epoch = self.ledger.assign(PARTITION, committed=None)
        self.turned: list[bool] = []
        self.parked = Parked()
        self.rested: list[Iterable[TopicPartition]] = []
        self.valve = Valve(
            self.ledger,
            max_records=max_records,
            max_bytes=max_bytes,
            turn=self.turned.append,
            rest=self.rested.append,
            parked=self.parked,
        )
        self.next = 0

    def take(self, count: int, size: int = 1) -> None:
        offsets = range(self.next, self.next + count)
        self.ledger.take(PARTITION, [Record("events", 0, n, value=b"x" * size) for n in offsets])
        self.next += count
        self.valve.check()

    def end(self, *offsets: int) -> None:
        for offset in offsets:
            self.ledger.end(PARTITION, self.epoch, offset, DELIVERED)
            self.valve.check()


def test_it_closes_when_enough_is_in_flight() -> None:
    tap = Tap()

    tap.take(9)
    below = list(tap.turned)
    tap.take(1)

    assert below == []
    assert tap.turned == [False]


def test_it_closes_when_the_bytes_are_enough() -> None:
    tap = Tap(max_bytes=1000)

    tap.take(2, size=500)

    assert tap.turned == [False]


def test_messages_made_of_the_records_count_as_well() -> None:
    tap = Tap(max_bytes=1000)
    tap.take(1, size=100)

    tap.ledger.made(PARTITION, tap.epoch, 0, 900)
    tap.valve.check()

    assert tap.turned == [False]


def test_no_more_messages_are_made_while_there_are_enough() -> None:
    tap = Tap()
    tap.take(3)
    tap.ledger.made(PARTITION, tap.epoch, 0, MADE_BYTES - 1)
    room = [tap.valve.has_room()]

    tap.ledger.made(PARTITION, tap.epoch, 1, 1)
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


def test_only_the_partition_rests_whose_metadata_has_no_room_and_it_goes_on_when_it_has() -> None:
    tap = Tap(max_records=100_000, max_bytes=1_000_000)
    tap.ledger.assign(PARTITION, committed=0, origin=Origin("cluster", "topic"))
    tap.epoch = tap.ledger.epoch_of(PARTITION) or 0

    tap.take(30_000)
    full = [set(rested) for rested in tap.rested]
    tap.end(*range(30_000))

    assert full == [{PARTITION}]
    assert [set(rested) for rested in tap.rested] == [{PARTITION}, set()]
    assert tap.turned == []


@pytest.mark.parametrize("each_bytes", [0, 100])
def test_a_partition_rests_while_more_than_its_share_of_the_half_is_parked(
    each_bytes: int,
) -> None:
    tap = Tap(max_records=400 if not each_bytes else 10**6, max_bytes=40_000)
    tap.ledger.assign(OTHER, committed=None)
    tap.parked.each_bytes = each_bytes
    said = []

    for count in (99, 100, 60, 49):
        tap.parked.parked = {PARTITION: count, OTHER: 10}
        tap.valve.check()
        said.append([set(rested) for rested in tap.rested])
    tap.parked.parked = {OTHER: 100}
    tap.valve.check()
    tap.parked.parked = {}
    tap.valve.check()

    assert said == [[], [{PARTITION}], [{PARTITION}], [{PARTITION}, set()]]
    assert [set(rested) for rested in tap.rested[2:]] == [{OTHER}, set()]


@pytest.mark.parametrize(("batch", "in_flight", "most"), [(500, 16, 16_000), (1, 1, 2)])
def test_the_bound_is_the_documented_formula(batch: int, in_flight: int, most: int) -> None:
    settings = DeliverySettings(batch_max_records=batch, max_in_flight=in_flight)

    assert most_in_flight(settings) == most


def test_a_smallest_bound_still_lets_something_through(record: Callable[..., Record]) -> None:
    tap = Tap(max_records=2)

    tap.take(2)
    tap.end(0)

    assert tap.turned == [False, True]
