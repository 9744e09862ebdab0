import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from processor.connector.backoff import Backoff
from processor.connector.brake import Brake
from processor.connector.chains import Ordered, chain_of
from processor.connector.judge import Judge, Kind
from processor.connector.passage import Failure, Passage
from processor.connector.pauses import Pauses
from processor.connector.probing import ROUND
from processor.errors import Code, Refused
from processor.record import Record, TopicPartition

PARTITION = TopicPartition("events", 0)
ALIKE = Kind(Code.DELIVERY_REFUSED, "event")

Run = Callable[[Coroutine[Any, Any, None]], None]


class Road:
    """Where records go on; a record passes when neither its code nor itself is at fault."""

    def __init__(self, *, ordered: Ordered = Ordered.NOT, room: int = 1000) -> None:
        loop = asyncio.get_running_loop()
        self.at_fault = {Code.DELIVERY_REFUSED}
        self.bad: set[int] = set()
        self.pauses = Pauses(loop.time)
        self.brake = Brake(
            Judge(ratio=0.5, window=40, least=10, clock=loop.time),
            ordered=ordered,
            room=room,
            backoff=Backoff(10.0),
            pauses=self.pauses,
            clock=loop.time,
        )
        self.letters: list[int] = []
        self.restarted: list[int] = []
        self.probed: list[int] = []
        self.busy = False
        self.next = 0
        self.running = asyncio.create_task(self.brake.run(self))

    # What the brake asks for.

    def probe(self, passage: Passage) -> None:
        self.probed.append(passage.record.offset)
        passage.start_again()
        self._judge(passage, Code.DELIVERY_REFUSED)

    def again(self, passages: Sequence[Passage]) -> None:
        self.restarted += sorted(passage.record.offset for passage in passages)

    def bury(self, passage: Passage) -> None:
        self.letters.append(passage.record.offset)
        self.brake.dead_lettered(passage)

    def idle(self) -> bool:
        return not self.busy

    # What happens.

    def _judge(self, passage: Passage, code: Code, target: str = "event") -> None:
        if code in self.at_fault or passage.record.offset in self.bad:
            passage.failures.append(Failure(target, Refused("No.", code=code), 1))
            if not self.brake.holds(passage):
                self.bury(passage)
        else:
            self.brake.passed(passage)

    def passage(self, key: bytes | None = b"k") -> Passage:
        self.next += 1
        record = Record(*PARTITION, self.next - 1, key=key, value=b"{}")
        return Passage(record, 1, targets=("event",))

    def fails(
        self, count: int, *, code: Code = Code.DELIVERY_REFUSED, key: bytes | None = b"k"
    ) -> None:
        for _ in range(count):
            self._judge(self.passage(key), code)

    def passes(self, count: int, key: bytes | None = b"k") -> None:
        for _ in range(count):
            self.brake.passed(self.passage(key))


def test_what_fails_alike_is_held_and_said(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)

        (hold,) = road.brake.holdings()
        assert road.letters == list(range(9))
        assert road.brake.on
        assert road.brake.resting() == {PARTITION: 21}
        assert (hold.kind_id, hold.records, hold.first) == (ALIKE.id, 21, (*PARTITION, 9))
        (pause,) = road.pauses.active()
        assert pause.reason == "systemic"
        assert pause.of_setup
        assert "10 of the last 10 records for target event failed alike" in pause.message
        assert "schema_id" in pause.message
        assert f"'processor errors release {ALIKE.id}'" in pause.message

    run(scenario())


@pytest.mark.parametrize("code", [Code.DECODE_TRUNCATED, Code.EVENT_UNKNOWN, Code.DELIVERY_POISON])
def test_what_no_set_up_causes_is_never_held(run: Run, code: Code) -> None:
    async def scenario() -> None:
        road = Road()
        road.at_fault = {code}
        road.fails(100, code=code)

        assert len(road.letters) == 100
        assert not road.brake.on

    run(scenario())


def test_one_record_at_a_time_is_tried_with_back_off_each_time_another(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(14)
        await asyncio.sleep(600)

        assert 60 <= len(road.probed) <= 200
        assert set(road.probed[:5]) == set(range(9, 14))
        assert len(road.letters) == 9

    run(scenario())


def test_when_one_passes_all_go_on_in_their_order(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        await asyncio.sleep(60)
        road.at_fault = set()
        await asyncio.sleep(20)

        assert not road.brake.on
        assert road.pauses.active() == ()
        assert road.restarted == [n for n in range(9, 30) if n != road.probed[-1]]
        assert len(road.letters) == 9

    run(scenario())


def test_what_breaks_again_after_a_mend_is_judged_anew(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        road.at_fault = set()
        await asyncio.sleep(20)
        road.at_fault = {Code.DELIVERY_REFUSED}
        road.fails(30)

        assert road.brake.on
        assert len(road.letters) == 18

    run(scenario())


def test_a_probe_that_fails_otherwise_is_a_letter_and_another_one_is_tried(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        tried = road.probe
        others: list[int] = []

        def fails_otherwise(passage: Passage) -> None:
            if len(others) < 3:
                others.append(passage.record.offset)
                passage.start_again()
                passage.failures.append(
                    Failure("event", Refused("Never.", code=Code.DELIVERY_POISON), 1)
                )
                assert not road.brake.holds(passage)
            else:
                tried(passage)

        road.probe = fails_otherwise  # type: ignore[method-assign]
        await asyncio.sleep(5)
        still_on = road.brake.on
        road.at_fault = set()
        await asyncio.sleep(20)

        assert still_on
        assert len(set(others)) == 3
        assert not road.brake.on

    run(scenario())


def test_a_probe_that_is_left_out_proves_nothing(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(12)
        tried: list[int] = []

        def left_out(passage: Passage) -> None:
            tried.append(passage.record.offset)
            road.brake.left_out(passage)

        road.probe = left_out  # type: ignore[method-assign]
        await asyncio.sleep(20)

        assert sorted(tried) == [9, 10, 11]
        assert road.restarted == []
        assert not road.brake.on  # nothing is left that could be tried
        road.fails(1)
        assert road.brake.on  # but nothing is forgotten either

    run(scenario())


def test_nothing_is_tried_or_resumed_while_requests_are_on_their_way(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.busy = True
        road.fails(30)
        await asyncio.sleep(60)
        while_busy = list(road.probed)
        road.busy = False
        await asyncio.sleep(5)

        assert while_busy == []
        assert road.probed

    run(scenario())


def test_it_is_resumed_as_soon_as_nothing_is_on_its_way_any_more(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        passes = road.probe

        def passes_while_another_is_on_its_way(passage: Passage) -> None:
            road.busy = True
            passes(passage)

        road.probe = passes_while_another_is_on_its_way  # type: ignore[method-assign]
        road.at_fault = set()
        await asyncio.sleep(20)
        while_busy = list(road.restarted)
        road.busy = False
        await asyncio.sleep(1)

        assert while_busy == []
        assert len(road.restarted) == 20

    run(scenario())


def test_released_they_become_letters_and_so_do_those_that_follow(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        (hold,) = road.brake.holdings()
        road.brake.release(hold.kind)
        await asyncio.sleep(0.1)
        road.fails(100)

        assert sorted(road.letters) == list(range(130))
        assert not road.brake.on
        assert road.pauses.active() == ()

    run(scenario())


def test_what_is_released_where_nothing_holds_yet_is_not_held_later(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.brake.release(ALIKE)
        await asyncio.sleep(0.1)
        road.fails(100)

        assert sorted(road.letters) == list(range(100))
        assert not road.brake.on

    run(scenario())


def test_what_is_released_while_it_is_only_suspected_waits_no_longer(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.passes(40)
        road.fails(15)
        waiting = 15 - len(road.letters)
        road.brake.release(ALIKE)
        await asyncio.sleep(0.1)

        assert waiting > 0
        assert sorted(road.letters) == list(range(40, 55))

    run(scenario())


def test_a_release_of_one_kind_lets_no_other_go(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        road.brake.release(Kind(Code.DELIVERY_REFUSED, "profile"))
        await asyncio.sleep(0.1)

        assert len(road.letters) == 9
        assert road.brake.on

    run(scenario())


def test_after_sound_records_the_surplus_waits_until_enough_is_seen(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.passes(100)
        road.fails(14)
        suspected = (len(road.letters), road.brake.on, road.brake.resting().total())
        await asyncio.sleep(0.1)
        road.passes(36)  # with the four that wait, a window
        await asyncio.sleep(0.1)

        assert suspected == (10, False, 0)
        assert len(road.letters) == 14
        assert not road.brake.on

    run(scenario())


def test_a_minute_is_the_longest_that_a_suspicion_keeps_a_letter(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.passes(100)
        road.fails(14)
        await asyncio.sleep(59)
        before = len(road.letters)
        await asyncio.sleep(2)

        assert before == 10
        assert len(road.letters) == 14

    run(scenario())


def test_where_there_is_no_room_a_suspicion_is_decided_at_once(run: Run) -> None:
    async def scenario() -> None:
        road = Road(room=3)
        road.passes(100)
        road.fails(13)
        await asyncio.sleep(0.1)
        within = len(road.letters)
        road.fails(1)
        await asyncio.sleep(0.1)

        assert within == 10
        assert len(road.letters) == 14

    run(scenario())


def test_what_is_given_back_is_forgotten(run: Run) -> None:
    async def scenario() -> None:
        road = Road(ordered=Ordered.BY_KEY)
        road.fails(30)
        road.brake.sweep(lambda _passage: False)
        await asyncio.sleep(1)

        assert road.brake.resting().total() == 0
        assert not road.brake.on
        assert len(road.letters) == 9
        assert road.restarted == []

    run(scenario())


def test_a_probe_that_is_given_back_makes_room_for_another(run: Run) -> None:
    async def scenario() -> None:
        road = Road()
        road.fails(30)
        tried: list[Passage] = []
        judged = road.probe
        road.probe = tried.append  # type: ignore[method-assign, assignment]
        await asyncio.sleep(5)
        (lost,) = tried
        road.probe = judged  # type: ignore[method-assign]
        road.at_fault = set()
        road.brake.sweep(lambda passage: passage is not lost)
        await asyncio.sleep(5)

        assert not road.brake.on
        assert len(road.restarted) == 19

    run(scenario())


def test_old_news_is_not_sent_after_newer(run: Run) -> None:
    """Two keys wait; of one of them a later record is delivered meanwhile."""

    async def scenario() -> None:
        road = Road(ordered=Ordered.BY_KEY)
        road.busy = True
        road.fails(15, key=b"a")
        road.fails(2, key=b"b")
        road.passes(1, key=b"b")
        road.busy, road.at_fault = False, set()
        await asyncio.sleep(20)

        assert sorted(road.letters) == [*range(9), 15, 16]
        assert [*road.probed, *road.restarted] == [9, 10, 11, 12, 13, 14]

    run(scenario())


def test_of_one_key_the_oldest_is_tried_first_and_then_those_behind_it(run: Run) -> None:
    async def scenario() -> None:
        road = Road(ordered=Ordered.BY_PARTITION)
        road.fails(15)
        await asyncio.sleep(120)

        assert road.probed[:8] == [9, 9, 10, 11, 12, 13, 14, 9]
        assert sorted(road.letters) == list(range(9))

    run(scenario())


def test_of_one_key_ten_are_tried_at_once_and_then_it_waits(run: Run) -> None:
    async def scenario() -> None:
        road = Road(ordered=Ordered.BY_PARTITION)
        road.fails(60)
        await asyncio.sleep(600)
        of_ten_minutes = len(road.probed)

        assert road.probed[1:12] == [*range(9, 9 + ROUND), 9]
        assert 60 * ROUND <= of_ten_minutes <= 200 * ROUND
        assert sorted(road.letters) == list(range(9))
        assert road.brake.on

    run(scenario())


@pytest.mark.parametrize("ordered", [Ordered.BY_PARTITION, Ordered.BY_KEY])
@pytest.mark.parametrize("bad", [1, 4])
def test_records_that_are_bad_by_themselves_do_not_keep_those_behind_them(
    run: Run, ordered: Ordered, bad: int
) -> None:
    """The set-up is mended, and the oldest that are held would fail all the same."""

    async def scenario() -> None:
        road = Road(ordered=ordered)
        road.fails(30)
        await asyncio.sleep(60)
        road.at_fault = set()
        road.bad = set(range(9, 9 + bad))
        await asyncio.sleep(20)

        assert not road.brake.on
        assert sorted(road.letters) == list(range(9 + bad))
        assert [road.probed[-1], *road.restarted] == list(range(9 + bad, 30))

    run(scenario())


def test_each_key_s_oldest_is_tried_before_any_that_stands_behind_one(run: Run) -> None:
    async def scenario() -> None:
        road = Road(ordered=Ordered.BY_KEY)
        for key in (b"a", b"b", b"a", b"b"):
            road.fails(6, key=key)
        await asyncio.sleep(120)

        assert road.probed[:5] == [9, 12, 9, 10, 11]

    run(scenario())


def test_one_that_is_only_suspected_does_not_keep_a_later_one_of_its_key_from_being_tried(
    run: Run,
) -> None:
    """Nothing enters while a kind holds, so nothing would ever decide the suspicion."""

    async def scenario() -> None:
        road = Road(ordered=Ordered.BY_PARTITION)
        road.at_fault = {Code.DELIVERY_REFUSED, Code.GATE_VIOLATION}
        road.passes(40)
        for _ in range(40):
            road.brake.shaped(road.passage())
        road.fails(11, code=Code.GATE_VIOLATION)
        road.fails(30)
        before = road.brake.on
        road.at_fault = {Code.GATE_VIOLATION}
        await asyncio.sleep(120)

        assert before
        assert road.probed
        assert not road.brake.on

    run(scenario())


def test_it_sends_again_only_what_had_failed() -> None:
    record = Record(*PARTITION, 7, key=b"k", value=b"{}")
    passage = Passage(record, 1, failures=[Failure("tier#2", Refused("No.", code=ALIKE.code))])

    passage.start_again()

    assert passage.only == {"tier#2"}
    assert passage.failures == []


@pytest.mark.parametrize(("ordered", "chain"), [
    (Ordered.NOT, None),
    (Ordered.BY_KEY, (PARTITION, b"k")),
    (Ordered.BY_PARTITION, (PARTITION, None)),
])  # fmt: skip
def test_a_chain_is_what_has_to_keep_its_order(ordered: Ordered, chain: object) -> None:
    passage = Passage(Record(*PARTITION, 7, key=b"k", value=b"{}"), 1)

    assert chain_of(passage, ordered) == chain


@pytest.mark.parametrize(("settings", "ordered"), [
    (["none", "none"], Ordered.NOT), (["none", "key"], Ordered.BY_KEY),
    (["key", "partition"], Ordered.BY_PARTITION), ([], Ordered.NOT),
])  # fmt: skip
def test_the_strictest_order_counts(settings: list[str], ordered: Ordered) -> None:
    assert Ordered.of(settings) is ordered
