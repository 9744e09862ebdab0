import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any, cast
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.connector.delivery import Inlet
from processor.connector.ledger import Ledger, ReleaseReason
from processor.connector.passage import Failure, Parcel, Passage, Story
from processor.connector.pipeline import AT_ONCE, Pipeline, main_code
from processor.connector.schema_waiting import Resume, SchemaWaiting
from processor.connector.transform import Transform
from processor.connector.valve import Valve
from processor.errors import Code, Filtered, FilterReason, Refused
from processor.record import Event, Message, Record, TopicPartition
from processor.schemas.decoder import Decoder, RegistryMissing, SchemaMissing
from processor.schemas.wire import SchemaKey

PARTITION = TopicPartition("events", 0)
REFUSED = Refused("No.", code=Code.DELIVERY_REFUSED)


class Reader:
    """Decodes what the value says: a word that is a fate, or names of targets."""

    def __init__(self) -> None:
        self.schema_known = False

    def decode(self, record: Record) -> Event:
        if record.value is None:
            raise Filtered(FilterReason.TOMBSTONE)
        words = record.value.decode()
        if words == "unreadable":
            raise Refused("It cannot be read.", code=Code.DECODE_TRUNCATED)
        if words == "unmapped":
            raise Filtered(FilterReason.UNMAPPED_EVENT, "x")
        if words == "no registry":
            raise RegistryMissing(SchemaKey(7))
        if words == "new schema" and not self.schema_known:
            raise SchemaMissing(SchemaKey(7))
        targets = "event" if words == "new schema" else words
        return Event("pointsIssued", {"targets": targets.split()})


class Maker:
    """A message for each word; one that ends in ``!`` does not map."""

    def parcels(self, passage: Passage, event: Event) -> list[Parcel]:
        parcels = []
        for name in event.body["targets"]:
            if name == "stale":
                passage.stale = ("profile",)
            elif name.endswith("!"):
                passage.failures.append(Failure(name[:-1], REFUSED))
            elif name != "none":
                message = Message(name.partition("#")[0], 0, "id", b"{}")
                parcels.append(Parcel(message, passage, several="#" in name))
        return parcels


class Held:
    """An inlet that keeps its parcels until the test answers."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.swept = 0

    def submit(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)

    def sweep(self) -> None:
        self.swept += 1


class Graves:
    """A dead-letter topic that acknowledges when the test says so."""

    def __init__(self) -> None:
        self.buried: list[tuple[Passage, Callable[[Passage], None]]] = []

    def bury(self, passage: Passage, acknowledged: Callable[[Passage], None]) -> None:
        self.buried.append((passage, acknowledged))

    def acknowledge(self) -> None:
        for passage, acknowledged in self.buried:
            acknowledged(passage)
        self.buried.clear()


class Room:
    """A waiting room for schemas that lets go when the test says so."""

    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self.resume: Resume | None = None
        self.swept: list[Passage] = []

    def holds(self, passage: Passage) -> bool:
        return bool(self.passages)

    def join(self, passage: Passage) -> None:
        self.passages.append(passage)

    def wait_for(self, key: SchemaKey, passage: Passage, resume: Resume) -> None:
        self.passages.append(passage)
        self.resume = resume

    def sweep(self, wanted: Callable[[Passage], bool]) -> None:
        self.swept = [passage for passage in self.passages if not wanted(passage)]

    def let_go(self) -> None:
        passages, self.passages = self.passages, []
        assert self.resume is not None
        self.resume(passages)


class Words:
    """Last words; refuses the offsets that it is told."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.refused: set[int] = set()
        self.stays = False

    def begin(self, record: Record) -> None:
        assert self.at is None
        if record.offset in self.refused:
            raise Refused("It died of this.", code=Code.DECODE_CRASH)
        self.at = record.offset

    def end(self) -> None:
        if not self.stays:
            self.at = None

    def stay(self) -> None:
        self.stays = True


class Journey:
    """A pipeline among doubles."""

    def __init__(
        self,
        *,
        stop_at_fault: bool = False,
        story: Story | None = None,
        max_made_bytes: int = 10_000,
        later: Callable[[Callable[[], None]], object] = lambda call: call(),
    ) -> None:
        self.ledger = Ledger()
        self.ledger.assign(PARTITION, committed=None)
        self.reader, self.maker, self.room, self.graves = Reader(), Maker(), Room(), Graves()
        self.words = Words()
        self.inlets = {name: Held() for name in ("event", "profile")}
        self.turned: list[bool] = []
        self.delivered: list[int] = []
        self.unmapped: list[str] = []
        self.faults: list[Passage] = []
        self.pipeline = Pipeline(
            ledger=self.ledger,
            decoder=cast("Decoder", self.reader),
            transform=cast("Transform", self.maker),
            inlets=cast("dict[str, Inlet]", self.inlets),
            graveyard=self.graves,
            waiting=cast("SchemaWaiting", self.room),
            valve=Valve(
                self.ledger,
                max_records=4,
                max_bytes=10_000,
                max_made_bytes=max_made_bytes,
                turn=self.turned.append,
                rest=lambda _partitions: None,
            ),
            delivered=self.delivered.append,
            read_story=lambda _: story,
            last_words=self.words,
            stop_at_fault=self.faults.append if stop_at_fault else None,
            later=later,
            unmapped=self.unmapped.append,
        )

    def carry(self, *values: str | None, first: int = 0) -> None:
        self.pipeline.carry([
            Record("events", 0, first + n, 1000 + n, value=None if v is None else v.encode())
            for n, v in enumerate(values)
        ])  # fmt: skip

    def answer(self, target: str, *outcomes: Refused | None) -> None:
        inlet = self.inlets[target]
        parcels, inlet.parcels = inlet.parcels, []
        for parcel, error in zip(parcels, outcomes, strict=True):
            self.pipeline.outcome(parcel, Failure(parcel.name, error, 1) if error else None)

    @property
    def committable(self) -> int | None:
        mark = self.ledger.committable().get(PARTITION)
        return None if mark is None else mark.offset


def test_a_record_is_delivered_when_all_its_messages_are_accepted() -> None:
    journey = Journey()
    journey.carry("event profile")

    journey.answer("event", None)
    half = journey.committable
    journey.answer("profile", None)

    assert half == 0
    assert journey.committable == 1
    assert journey.ledger.books()[PARTITION].delivered == 1
    assert journey.delivered == [1000]


def test_a_record_whose_message_was_refused_ends_when_its_dead_letter_is_acknowledged() -> None:
    journey = Journey()
    journey.carry("event")

    journey.answer("event", REFUSED)
    before = journey.committable
    journey.graves.acknowledge()

    assert before == 0
    assert journey.committable == 1
    assert journey.ledger.books()[PARTITION].dead_lettered == {Code.DELIVERY_REFUSED: 1}
    assert journey.delivered == []


@pytest.mark.parametrize("first", ["event", "profile"])
def test_where_one_target_fails_the_letter_names_only_that_and_waits_for_the_others(
    first: str,
) -> None:
    journey = Journey()
    journey.carry("event profile")
    answers: dict[str, Refused | None] = {"event": None, "profile": REFUSED}

    journey.answer(first, answers.pop(first))
    early = list(journey.graves.buried)
    for target, error in answers.items():
        journey.answer(target, error)

    assert early == []
    ((passage, _),) = journey.graves.buried
    assert [failure.target for failure in passage.failures] == ["profile"]


def test_a_target_that_does_not_map_is_in_the_letter_though_the_other_was_accepted() -> None:
    journey = Journey()
    journey.carry("event profile!")

    journey.answer("event", None)

    ((passage, _),) = journey.graves.buried
    assert [failure.target for failure in passage.failures] == ["profile"]
    assert main_code(passage) is Code.DELIVERY_REFUSED


def test_messages_of_one_target_are_named_by_their_index() -> None:
    journey = Journey()
    journey.carry("event#0 event#1")

    journey.answer("event", None, REFUSED)

    ((passage, _),) = journey.graves.buried
    assert [failure.target for failure in passage.failures] == ["event#0"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, FilterReason.TOMBSTONE),
        ("unmapped", FilterReason.UNMAPPED_EVENT),
        ("none", FilterReason.NO_TARGET),
        ("stale", FilterReason.STALE),
    ],
)
def test_what_is_left_out_is_counted_by_its_reason(value: str | None, reason: FilterReason) -> None:
    journey = Journey()

    journey.carry(value)

    assert journey.ledger.books()[PARTITION].filtered == {reason: 1}
    assert journey.committable == 1


def test_what_nothing_maps_is_counted_by_the_event_s_name() -> None:
    journey = Journey()

    journey.carry("unmapped", None, "none", "unreadable", "unmapped")

    assert journey.unmapped == ["x", "x"]


def test_records_of_a_schema_that_is_not_known_yet_go_on_when_it_is() -> None:
    journey = Journey()
    journey.carry("new schema", "event")
    before = list(journey.inlets["event"].parcels)

    journey.reader.schema_known = True
    journey.room.let_go()
    journey.answer("event", None, None)

    assert before == []
    assert journey.committable == 2


def test_a_record_that_waited_for_a_schema_while_its_partition_went_is_dropped() -> None:
    journey = Journey()
    journey.carry("new schema")

    journey.ledger.release(PARTITION, ReleaseReason.REVOKED)
    journey.pipeline.given_back()
    journey.reader.schema_known = True
    journey.room.let_go()

    assert len(journey.room.swept) == 1
    assert journey.inlets["event"].parcels == []


def test_records_that_come_after_their_partition_went_are_not_taken() -> None:
    journey = Journey()
    journey.ledger.release(PARTITION, ReleaseReason.LOST)

    journey.carry("event")

    assert journey.inlets["event"].parcels == []
    assert journey.ledger.in_flight_count == 0


def test_a_record_that_needs_a_registry_waits_where_there_is_none_and_later_ones_behind_it() -> (
    None
):
    journey = Journey()

    journey.carry("no registry", "event")

    assert [passage.record.offset for passage in journey.room.passages] == [0, 1]
    assert journey.committable == 0
    assert journey.graves.buried == []


def test_with_tolerance_none_a_fault_stops_the_task_and_writes_nothing() -> None:
    journey = Journey(stop_at_fault=True)

    journey.carry("unreadable")

    assert [passage.record.offset for passage in journey.faults] == [0]
    assert journey.graves.buried == []
    assert journey.committable == 0


def test_a_fault_in_a_record_that_is_someone_else_s_now_is_theirs() -> None:
    strict, tolerant = Journey(stop_at_fault=True), Journey()
    for journey in (strict, tolerant):
        journey.carry("event")
        journey.ledger.release(PARTITION, ReleaseReason.LOST)
        journey.answer("event", REFUSED)

    assert strict.faults == []
    assert tolerant.graves.buried == []


def test_a_late_answer_of_an_earlier_assignment_counts_for_nothing() -> None:
    journey = Journey()
    journey.carry("event")
    journey.ledger.assign(PARTITION, committed=0)
    journey.carry("event")

    first, second = journey.inlets["event"].parcels
    journey.pipeline.outcome(first, None)
    before = journey.ledger.in_flight_count
    journey.pipeline.outcome(second, None)

    assert before == 1
    assert journey.ledger.books()[PARTITION].delivered == 1
    assert journey.delivered == [1000]


def test_what_a_partition_held_makes_room_when_it_goes() -> None:
    journey = Journey()
    journey.carry(*["event"] * 4)

    journey.ledger.release(PARTITION, ReleaseReason.REVOKED)
    journey.pipeline.given_back()

    assert journey.turned == [False, True]
    assert [inlet.swept for inlet in journey.inlets.values()] == [1, 1]


def test_a_letter_that_is_replayed_keeps_the_time_of_its_first_life() -> None:
    story = Story("original", 3, 9, 77, frozenset({"event"}), 1)
    journey = Journey(story=story)

    journey.carry("event!")

    ((passage, _),) = journey.graves.buried
    assert passage.story is story
    assert passage.timestamp_ms == 77


def sent(journey: Journey, target: str = "event") -> list[int]:
    return [parcel.passage.record.offset for parcel in journey.inlets[target].parcels]


def test_messages_are_made_only_as_far_as_there_is_room_for_them() -> None:
    journey = Journey(max_made_bytes=4)  # a message is two bytes
    journey.carry(*["event"] * 5)
    first = sent(journey)

    journey.answer("event", None, None)
    second = sent(journey)
    journey.answer("event", REFUSED, REFUSED)

    assert (first, second) == ([0, 1], [2, 3])
    assert sent(journey) == [4], "those that wait for their letters have no messages any more"
    assert journey.ledger.made_bytes == 2


def test_what_has_not_entered_stays_out_when_it_is_halted_and_no_drain_waits_for_it() -> None:
    journey = Journey(max_made_bytes=4)
    journey.carry(*["event"] * 5)

    journey.pipeline.halt()
    resting = journey.pipeline.resting()
    journey.answer("event", None, None)

    assert resting.total() == 3
    assert sent(journey) == []
    assert journey.ledger.in_flight_count == journey.pipeline.resting().total() == 3


def test_thousands_that_end_at_once_do_not_go_on_inside_each_other() -> None:
    journey = Journey(max_made_bytes=2)
    journey.carry("event", *["unmapped"] * 3_000)

    journey.answer("event", None)

    assert journey.committable == 3_001


def test_what_waited_for_a_schema_comes_before_later_records_that_found_no_room() -> None:
    journey = Journey(max_made_bytes=2)
    journey.carry("event", "new schema")
    journey.answer("event", None)
    journey.room.passages, waiting = [], list(journey.room.passages)
    journey.carry("event", "event", first=2)
    journey.room.passages = waiting
    journey.reader.schema_known = True

    journey.room.let_go()
    orders = []
    while journey.inlets["event"].parcels:
        orders += sent(journey)
        journey.answer("event", None)

    assert orders == [2, 1, 3]


def test_what_found_no_room_is_dropped_when_its_partition_goes() -> None:
    journey = Journey(max_made_bytes=2)
    journey.carry("event", "event")

    journey.ledger.release(PARTITION, ReleaseReason.REVOKED)
    journey.pipeline.given_back()

    assert sent(journey) == [0], "the inlet's to drop"
    assert journey.ledger.made_bytes == 0


def test_a_record_at_fault_is_let_go_without_the_garbage_collector() -> None:
    journey = Journey()
    gc.disable()
    try:
        journey.carry("unreadable")
        error = weakref.ref(journey.graves.buried[0][0].failures[0].error)
        journey.graves.acknowledge()
        left = error()
    finally:
        gc.enable()

    assert left is None


def test_while_a_record_is_decoded_and_mapped_it_is_known_which_and_then_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journey = Journey(max_made_bytes=10**6)
    seen: list[tuple[str, int | None]] = []
    decode, parcels = journey.reader.decode, journey.maker.parcels

    def decoding(record: Record) -> Event:
        seen.append(("decode", journey.words.at))
        return decode(record)

    def mapping(passage: Passage, event: Event) -> list[Parcel]:
        seen.append(("map", journey.words.at))
        return parcels(passage, event)

    monkeypatch.setattr(journey.reader, "decode", decoding)
    monkeypatch.setattr(journey.maker, "parcels", mapping)
    for offset, fate in enumerate(("event", "unreadable", None, "event!", "new schema")):
        journey.carry(fate, first=offset)
        assert journey.words.at is None

    assert seen == [
        ("decode", 0), ("map", 0), ("decode", 1), ("decode", 2), ("decode", 3), ("map", 3),
        ("decode", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(("defect", "said"), [(ZeroDivisionError, 7), (MemoryError, None)])
def test_a_defect_leaves_last_words_but_want_of_memory_blames_no_record(
    defect: type[Exception], said: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = Journey()
    monkeypatch.setattr(journey.reader, "decode", Mock(side_effect=defect))

    with pytest.raises(defect):
        journey.carry("event", first=7)

    assert journey.words.at == said


def test_a_record_of_which_the_process_died_is_dead_lettered_undecoded_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journey = Journey()
    journey.words.refused.add(1)
    decode = journey.reader.decode

    def deadly(record: Record) -> Event:
        assert record.offset != 1
        return decode(record)

    monkeypatch.setattr(journey.reader, "decode", deadly)

    journey.carry("event", "event", "event")

    ((passage, _),) = journey.graves.buried
    assert (passage.record.offset, main_code(passage)) == (1, Code.DECODE_CRASH)
    journey.graves.acknowledge()
    journey.answer("event", None, None)
    assert journey.committable == 3
    assert journey.ledger.books()[PARTITION].dead_lettered == {Code.DECODE_CRASH: 1}


FATES = st.sampled_from(
    ["event", "profile", "event profile", "event profile!", "unreadable", "unmapped", "none"]
)


@given(st.lists(FATES, max_size=25), st.randoms(use_true_random=False))
def test_every_record_ends_exactly_once(fates: list[str], chance: Any) -> None:
    journey = Journey()
    journey.carry(*fates)
    waiting: Sequence[Parcel] = [p for inlet in journey.inlets.values() for p in inlet.parcels]
    failed = {n for n, fate in enumerate(fates) if fate == "unreadable" or "!" in fate}

    for parcel in chance.sample(waiting, len(waiting)):
        error = REFUSED if chance.random() < 0.3 else None
        if error:
            failed.add(parcel.passage.record.offset)
        journey.pipeline.outcome(parcel, Failure(parcel.name, error) if error else None)
        assert journey.ledger.books()[PARTITION].balance
    buried = sorted(passage.record.offset for passage, _ in journey.graves.buried)
    journey.graves.acknowledge()

    assert buried == sorted(failed)
    assert journey.ledger.in_flight_count == 0
    if fates:
        books = journey.ledger.books()[PARTITION]
        assert books.balance
        assert books.dead_lettered_total == len(failed)
        assert books.filtered_total == sum(fate in {"unmapped", "none"} for fate in fates)
        assert journey.committable == len(fates)


def test_a_poll_is_started_some_at_a_time_and_what_else_there_is_comes_between() -> None:
    later: list[Callable[[], None]] = []
    journey = Journey(later=later.append)
    journey.carry(*["event"] * (2 * AT_ONCE + 1))

    started = []
    while later:
        turn = later.pop()
        turn()
        started.append(len(journey.inlets["event"].parcels))

    assert started == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1]


def test_what_was_not_started_yet_of_a_partition_that_goes_is_never_started() -> None:
    later: list[Callable[[], None]] = []
    journey = Journey(later=later.append)
    journey.carry("event", "event")

    journey.ledger.release(PARTITION, ReleaseReason.LOST)
    journey.pipeline.given_back()
    while later:
        later.pop()()

    assert journey.inlets["event"].parcels == []
