"""Is there a later record of the key? From what a source topic holds, without a broker."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Self, cast

import pytest

from processor.connector.passage import Failure, Parcel, Passage
from processor.errors import Code, Refused
from processor.operations.chosen import Chosen
from processor.operations.reading import Reader
from processor.operations.rehearsal import Rehearsal, Rehearsed
from processor.operations.replays import later_records
from processor.operations.replays.later_records import LaterRecords, Newer
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


SETS_NOTHING, UNREADABLE, UNMAPPABLE = b"a purchase", b"unreadable", b"unmappable"


class Customers:
    """Rehearses records that set the loyalty of their key, or of the customer whose id they are."""

    def __init__(self) -> None:
        self.rehearsed: list[int] = []

    async def rehearse(self, record: Record) -> Rehearsed:
        self.rehearsed.append(record.offset)
        passage = Passage(record, 0)
        if record.value in {UNREADABLE, UNMAPPABLE}:
            at_ = "" if record.value == UNREADABLE else "loyalty#1"
            passage.failures.append(Failure(at_, Refused("no", code=Code.DECODE_VALUE)))
            return Rehearsed(passage)
        customer = record.value if record.key is None else record.key
        order = f"{record.topic}\x00{record.partition}\x00".encode() + (customer or b"")
        event = Parcel(Message("event", 0, "id", b""), passage)
        if record.value == SETS_NOTHING or not customer:
            return Rehearsed(passage, parcels=(event,))
        loyalty = Parcel(Message("loyalty", 0, "id", b"", order), passage)
        return Rehearsed(passage, parcels=(event, loyalty))


def record(offset: int, key: bytes | None, value: bytes | None = None) -> Record:
    return Record("t", 0, offset, 100 + offset, key, value)


def at(offset: int) -> Position:
    return Position("t", 0, offset)


async def looked(
    log: Log,
    *wanted: tuple[int, bytes | None],
    keyless: Any = None,
    customers: Customers | None = None,
) -> LaterRecords:
    later = LaterRecords(cast("Reader", log), {"loyalty", "profile"})
    for offset, key in wanted:
        later.want(at(offset), key, 100 + offset)
    await later.look(cast("Rehearsal", customers or Customers()), keyless or Chosen())
    return later


async def test_only_a_later_record_of_the_same_key_counts() -> None:
    log = Log([record(0, b"a"), record(1, b"a"), record(2, b"b"), record(3, b"c"), record(4, b"b")])

    later = await looked(log, (1, b"a"), (2, b"b"))

    assert not later.newer(at(1), "loyalty", b"a")
    assert later.newer(at(2), "loyalty", b"b")
    assert later.newer(at(0), "loyalty", b"a")
    assert log.read == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("value", "loyalty", "profile"),
    [
        (None, True, False),
        (SETS_NOTHING, False, False),
        (UNREADABLE, True, True),
        (UNMAPPABLE, True, False),
    ],
)
async def test_it_counts_for_the_targets_that_it_sets_or_may_have_set(
    value: bytes | None, *, loyalty: bool, profile: bool
) -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"a", value)]), (0, b"a"))

    assert later.newer(at(0), "loyalty", b"a") is loyalty
    assert later.newer(at(0), "profile", b"a") is profile


async def test_once_later_ones_are_known_for_each_target_no_more_are_decoded() -> None:
    customers = Customers()
    log = Log([record(n, b"a", UNREADABLE if n == 2 else None) for n in range(9)])

    later = await looked(log, (0, b"a"), (1, b"a"), customers=customers)

    assert customers.rehearsed == [0, 1, 2]
    assert later.newer(at(1), "profile", b"a")


async def test_what_is_written_meanwhile_counts_from_the_next_look_on() -> None:
    log = Log([record(0, b"a")])
    later = await looked(log, (0, b"a"))
    log.records.append(record(1, b"a"))

    assert not later.newer(at(0), "loyalty", b"a")
    await later.look_again()

    assert later.newer(at(0), "loyalty", b"a")
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

    assert later.newer(at(3), "loyalty", b"a")
    assert why in later.cannot_tell(at(3))


async def test_a_topic_that_is_gone_cannot_tell() -> None:
    log = Log([])
    log.gone = True

    later = await looked(log, (3, b"a"))

    assert later.newer(at(3), "loyalty", b"a")
    assert "gone" in later.cannot_tell(at(3))


async def test_right_after_it_all_is_still_there() -> None:
    later = await looked(Log([record(4, b"z")], start=4), (3, b"a"))

    assert not later.newer(at(3), "loyalty", b"a")


async def test_what_was_never_asked_for_counts_as_later() -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"b")]), (0, b"a"))

    assert later.newer(at(0), "loyalty", b"b")
    assert later.newer(Position("other", 0, 0), "loyalty", b"a")


async def test_any_record_of_the_partition_when_that_is_asked() -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"b")]), (0, b"a"), (1, b"b"))

    assert later.newer(at(0), "loyalty", None)
    assert not later.newer(at(1), "loyalty", None)


async def test_without_a_key_the_customer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = Record("t.dlq", 0, 7, 1, None, b"ann")
    monkeypatch.setattr(later_records, "chosen_records", lambda *_: iter([[letter]]))
    monkeypatch.setattr(later_records, "read_story", lambda _: Position("t", 0, 0))
    log = Log([record(0, None, b"ann"), record(1, None, b"bob"), record(2, None, None)])

    later = await looked(log, (0, None))
    assert not later.newer(at(0), "loyalty", b"ann")
    assert later.newer(at(0), "loyalty", b"bob")

    log.records.append(record(3, None, b"ann"))
    await later.look_again()
    assert later.newer(at(0), "loyalty", b"ann")


async def test_what_is_let_through_is_counted_once_a_record() -> None:
    later = await looked(Log([record(0, b"a"), record(1, b"a")]), (0, b"a"))
    allowed, stopped = (Newer(later, at(0), allowed=allow) for allow in (True, False))

    assert [one("loyalty", b"a") for one in (allowed, allowed, stopped)] == [False, False, True]
    assert (later.allowed, later.untold) == (1, {})
