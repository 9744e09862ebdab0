"""Is there a later record of the key? From what a source topic holds, without a broker."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Self, cast

import pytest

from processor.connector.passage import Parcel, Passage
from processor.operations import later_records
from processor.operations.chosen import Chosen
from processor.operations.later_records import LaterRecords, Newer
from processor.operations.reading import Reader
from processor.operations.rehearsal import Rehearsal, Rehearsed
from processor.record import Message, Position, Record, TopicPartition

PLACE = TopicPartition("t", 0)


class Log:
    """A source topic, as far as a reader sees it."""

    def __init__(self, records: Iterable[Record], start: int = 0) -> None:
        self.records = list(records)
        self.start = start
        self.gone = False
        self.read: list[int] = []

    def topics(self) -> dict[str, int]:
        return {} if self.gone else {"t": 1}

    def starts(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.start)

    def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, max((r.offset + 1 for r in self.records), default=0))

    def reading(
        self, spans: Mapping[TopicPartition, tuple[int, int]], *_wanted: Any
    ) -> "Log.Reading":
        found = [
            record
            for start, end in spans.values()
            for record in self.records
            if start <= record.offset < end
        ]
        self.read += [record.offset for record in found]
        return self.Reading(found)

    class Reading:
        def __init__(self, records: list[Record]) -> None:
            self._records = records

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            return

        def __iter__(self) -> Iterator[list[Record]]:
            yield self._records


class Customers:
    """Rehearses records whose value is their customer's id; `None` sets no state."""

    async def rehearse(self, record: Record) -> Rehearsed:
        passage = Passage(record, 0)
        order = f"{record.topic}\x00{record.partition}\x00".encode() + (record.value or b"")
        message = Message("loyalty", 0, "id", b"", order if record.value else None)
        return Rehearsed(passage, parcels=(Parcel(message, passage),))


def record(offset: int, key: bytes | None, value: bytes | None = None) -> Record:
    return Record("t", 0, offset, 100 + offset, key, value)


def at(offset: int) -> Position:
    return Position("t", 0, offset)


async def looked(log: Log, *wanted: tuple[int, bytes | None], keyless: Any = None) -> LaterRecords:
    later = LaterRecords(cast("Reader", log))
    for offset, key in wanted:
        later.want(at(offset), key, 100 + offset)
    await later.look(cast("Rehearsal", Customers()), keyless or Chosen())
    return later


async def test_only_a_later_record_of_the_same_key_counts() -> None:
    log = Log([record(0, b"a"), record(1, b"a"), record(2, b"b"), record(3, b"c"), record(4, b"b")])

    later = await looked(log, (1, b"a"), (2, b"b"))

    assert not later.newer(at(1), b"a")
    assert later.newer(at(2), b"b")
    assert later.newer(at(0), b"a")
    assert log.read == [1, 2, 3, 4]


async def test_what_is_written_meanwhile_counts_from_the_next_look_on() -> None:
    log = Log([record(0, b"a")])
    later = await looked(log, (0, b"a"))
    log.records.append(record(1, b"a"))

    assert not later.newer(at(0), b"a")
    await later.look_again()

    assert later.newer(at(0), b"a")
    assert log.read == [0, 1]


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (Log([record(5, b"z")], start=5), "dropped"),
        (Log([record(0, b"a")]), "another"),
        (Log([record(3, b"other"), record(9, b"z")]), "another"),
        (Log([Record("t", 0, 3, 7, b"a"), record(9, b"z")]), "another"),
    ],
)
async def test_where_nobody_can_tell_it_counts_as_later(log: Log, why: str) -> None:
    later = await looked(log, (3, b"a"))

    assert later.newer(at(3), b"a")
    assert why in later.cannot_tell(at(3))


async def test_a_topic_that_is_gone_cannot_tell() -> None:
    log = Log([])
    log.gone = True

    later = await looked(log, (3, b"a"))

    assert later.newer(at(3), b"a")
    assert "gone" in later.cannot_tell(at(3))


async def test_right_after_it_all_is_still_there() -> None:
    later = await looked(Log([record(4, b"z")], start=4), (3, b"a"))

    assert not later.newer(at(3), b"a")


async def test_what_was_never_asked_for_counts_as_later() -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"b")]), (0, b"a"))

    assert later.newer(at(0), b"b")
    assert later.newer(Position("other", 0, 0), b"a")


async def test_any_record_of_the_partition_when_that_is_asked() -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"b")]), (0, b"a"), (1, b"b"))

    assert later.newer(at(0), None)
    assert not later.newer(at(1), None)


async def test_without_a_key_the_customer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = Record("t.dlq", 0, 7, 1, None, b"ann")
    monkeypatch.setattr(later_records, "chosen_records", lambda *_: iter([[letter]]))
    monkeypatch.setattr(later_records, "read_story", lambda _: Position("t", 0, 0))
    log = Log([record(0, None, b"ann"), record(1, None, b"bob"), record(2, None, None)])

    later = await looked(log, (0, None))
    assert not later.newer(at(0), b"ann")
    assert later.newer(at(0), b"bob")

    log.records.append(record(3, None, b"ann"))
    await later.look_again()
    assert later.newer(at(0), b"ann")


async def test_what_is_let_through_is_counted_once_a_record() -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"a")]), (0, b"a"))
    allowed, stopped = (Newer(later, at(0), allowed=allow) for allow in (True, False))

    assert [allowed(b"a"), allowed(b"a"), stopped(b"a")] == [False, False, True]
    assert (later.allowed, later.untold) == (1, {})
