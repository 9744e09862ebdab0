from collections import deque
from typing import Any, cast

import pytest
from confluent_kafka import Consumer

from processor.kafka.portions import (
    FIRST_SLICE_RECORDS,
    PORTION_BYTES,
    PORTION_RECORDS,
    SLICE_RECORDS,
    Portions,
)

WAIT_S = 0.1


class Said:
    """A message of so many bytes; of a key alone, when it has no value."""

    def __init__(self, size: int, *, key: bool = False) -> None:
        self.size, self._of_key = size, key

    def key(self) -> bytes | None:
        return bytes(self.size) if self._of_key else None

    def value(self) -> bytes | None:
        return None if self._of_key else bytes(self.size)


class Queue:
    """A consumer that has these messages ready, and remembers what it was asked for."""

    def __init__(self, *messages: Said) -> None:
        self.ready = deque(messages)
        self.asked: list[tuple[int, float]] = []

    def consume(self, count: int, wait_s: float) -> list[Any]:
        self.asked.append((count, wait_s))
        return [self.ready.popleft() for _ in range(min(count, len(self.ready)))]


def portions_of(queue: Queue) -> list[int]:
    """Bytes of each portion until nothing is left."""
    portions, sizes = Portions(), []
    while queue.ready:
        polled = cast("list[Said]", portions.poll(cast("Consumer", queue), WAIT_S))
        sizes.append(sum(said.size for said in polled))
    return sizes


def test_small_records_soon_come_five_hundred_at_a_time() -> None:
    queue = Queue(*(Said(300) for _ in range(3 * PORTION_RECORDS)))

    assert portions_of(queue) == [300 * PORTION_RECORDS] * 3
    assert queue.asked[0] == (FIRST_SLICE_RECORDS, WAIT_S)
    assert max(asked for asked, _ in queue.asked) == SLICE_RECORDS


@pytest.mark.parametrize("key", [False, True])
def test_of_large_records_a_portion_is_never_more_than_its_bytes_and_one_record(key: bool) -> None:
    large = 900_000

    sizes = portions_of(Queue(*(Said(large, key=key) for _ in range(60))))

    assert max(sizes[1:]) < PORTION_BYTES + large
    assert sizes[0] <= FIRST_SLICE_RECORDS * large


def test_a_record_larger_than_a_portion_comes_alone() -> None:
    sizes = portions_of(Queue(*(Said(3 * PORTION_BYTES) for _ in range(FIRST_SLICE_RECORDS + 5))))

    assert sizes[1:] == [3 * PORTION_BYTES] * 5


def test_large_records_after_small_ones_cost_one_slice() -> None:
    large = 900_000
    queue = Queue(*(Said(300) for _ in range(PORTION_RECORDS)), *(Said(large) for _ in range(99)))

    sizes = portions_of(queue)

    assert max(sizes) <= SLICE_RECORDS * large
    assert max(sizes[2:]) < PORTION_BYTES + large


def test_only_the_first_slice_waits() -> None:
    queue = Queue(*(Said(10) for _ in range(PORTION_RECORDS)))

    portions_of(queue)

    assert [wait_s for _, wait_s in queue.asked] == [WAIT_S] + [0.0] * (len(queue.asked) - 1)


def test_what_is_there_is_handed_on_without_waiting_for_a_full_portion() -> None:
    queue = Queue(*(Said(10) for _ in range(FIRST_SLICE_RECORDS + 3)))

    assert portions_of(queue) == [10 * (FIRST_SLICE_RECORDS + 3)]
    assert len(queue.asked) == 2


def test_an_empty_poll_asks_once() -> None:
    queue = Queue()

    assert Portions().poll(cast("Consumer", queue), WAIT_S) == []
    assert len(queue.asked) == 1
