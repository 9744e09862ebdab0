from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from processor.errors import Code
from processor.kafka.letter import Glance, Letter, glance
from processor.operations.letters.newest import FIRST_WINDOW, newest, newest_of
from processor.record import Position, Record, TopicPartition
from tests.integration.letters import letter

P0, P1 = TopicPartition("t.dlq", 0), TopicPartition("t.dlq", 1)


class Log:
    """A topic in memory that notes what is read of it."""

    def __init__(self, times: Mapping[TopicPartition, list[int]], **changes: Any) -> None:
        self.records = {
            place: [self._record(place, n, time, **changes) for n, time in enumerate(row)]
            for place, row in times.items()
        }
        self.read: list[dict[TopicPartition, tuple[int, int]]] = []
        self.spans = {place: (0, len(row)) for place, row in times.items()}

    @staticmethod
    def _record(place: TopicPartition, offset: int, time_ms: int, **changes: Any) -> Record:
        made = letter(offset, **changes)
        return Record(*place, offset, time_ms, made["key"], made["value"], made["headers"])

    @contextmanager
    def reading(self, spans: Mapping[TopicPartition, tuple[int, int]]) -> Iterator[Any]:
        self.read.append(dict(spans))
        yield [self.records[place][start:end] for place, (start, end) in spans.items()]

    @property
    def offsets(self) -> int:
        return sum(end - start for spans in self.read for start, end in spans.values())


def pages(log: Any, look: Any = glance, limit: int = 50, **more: Any) -> list[Any]:
    found: list[Any] = []
    before: tuple[Position, ...] = ()
    while True:
        page = newest(log, log.spans, look, limit=limit, before=before, **more)
        found.append(page)
        before = page.before
        if not before:
            return found


def test_pages_hold_each_letter_once_and_the_newest_first() -> None:
    log = Log({P0: [*range(0, 3_000, 3)], P1: [*range(1, 1_501, 5)]})

    found = [one for page in pages(log) for one in page.letters]

    assert len(found) == 1_300
    times = [(one.timestamp_ms or 0, one.position) for one in found]
    assert all(later > earlier for later, earlier in pairwise(times))


def test_the_first_page_reads_only_the_ends() -> None:
    log = Log({P0: [*range(20_000)], P1: [*range(20_000)]})

    page = newest(log, log.spans, glance, limit=50)  # type: ignore[arg-type] # a double

    assert len(page.letters) == 50
    assert log.offsets == page.looked_at == 2 * FIRST_WINDOW


def test_what_comes_meanwhile_is_on_no_later_page() -> None:
    log = Log({P0: [*range(100)]})
    first = newest(log, {P0: (0, 60)}, glance, limit=20)  # type: ignore[arg-type] # a double

    second = newest(log, log.spans, glance, limit=50, before=first.before)  # type: ignore[arg-type] # a double

    assert [one.position.offset for one in second.letters] == [*range(39, -1, -1)]
    assert second.before == ()


def test_a_partition_that_is_done_stays_done() -> None:
    log = Log({P0: [*range(500)], P1: [1_000]})

    first = newest(log, log.spans, glance, limit=1)  # type: ignore[arg-type] # a double

    assert [one.position for one in first.letters] == [Position(*P1, 0)]
    assert first.before == (Position(*P0, 500),)


def test_a_page_that_looks_at_too_much_ends_and_says_so() -> None:
    log = Log({P0: [*range(10_000)]})

    def rare(record: Record) -> Glance | None:
        return glance(record) if record.offset % 4_000 == 0 else None

    found = pages(log, rare, budget=1_000)

    assert [one.position.offset for page in found for one in page.letters] == [8_000, 4_000, 0]
    assert found[0].cut
    assert not found[-1].cut


def test_a_partition_without_any_is_read_no_further_than_the_others() -> None:
    log = Log({P0: [*range(100_000)], P1: [*range(100_000)]})

    def in_one(record: Record) -> Glance | None:
        return glance(record) if record.partition else None

    page = newest(log, log.spans, in_one, limit=50)  # type: ignore[arg-type] # a double

    assert len(page.letters) == 50
    assert not page.cut
    assert log.offsets < 2_000


def test_letters_without_a_time_come_last() -> None:
    log = Log({P0: [5], P1: [7]})
    log.records[P1][0] = replace(log.records[P1][0], timestamp_ms=None)

    page = newest(log, log.spans, glance, limit=2)  # type: ignore[arg-type] # a double

    assert [one.timestamp_ms for one in page.letters] == [5, None]


def test_nothing_is_kept_of_what_is_large() -> None:
    log = Log({P0: [1]}, stacktrace="long", code=Code.DECODE_UTF8)

    (found,) = newest(log, log.spans, glance, limit=1).letters  # type: ignore[arg-type] # a double

    small: Letter = found.letter
    assert (small.value, small.stacktrace, small.code) == (None, "", Code.DECODE_UTF8)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (10_000, {P0: (0, 10), P1: (100, 1_100)}),
        (110, {P0: (0, 10), P1: (1_000, 1_100)}),
        (10, {P0: (5, 10), P1: (1_095, 1_100)}),
        (0, {}),
    ],
)
def test_the_ends_of_spans(most: int, expected: dict[TopicPartition, tuple[int, int]]) -> None:
    assert newest_of({P0: (0, 10), P1: (100, 1_100)}, most) == expected
