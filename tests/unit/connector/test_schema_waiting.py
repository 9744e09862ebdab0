import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from processor.connector.backoff import Backoff
from processor.connector.chains import Ordered
from processor.connector.passage import Passage
from processor.connector.pauses import Pauses
from processor.connector.schema_waiting import FETCHES_AT_ONCE, NoRegistry, SchemaWaiting
from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.record import Record
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.wire import SchemaKey

SCHEMA = vet({"type": "record", "name": "pointsIssued", "fields": []})
UNKNOWN = Refused("Unknown.", code=Code.DECODE_UNKNOWN_SCHEMA_ID)


class Registry:
    """Answers each key by its rule; an exception is raised."""

    def __init__(self, rule: Callable[[SchemaKey], WriterSchema | Exception]) -> None:
        self.rule = rule
        self.asked: list[SchemaKey] = []
        self.now_asked = self.most_asked = 0

    async def fetch(self, key: SchemaKey) -> WriterSchema:
        self.asked.append(key)
        self.now_asked += 1
        self.most_asked = max(self.most_asked, self.now_asked)
        await asyncio.sleep(0.05)
        self.now_asked -= 1
        answer = self.rule(key)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Room:
    """A waiting room, and whom it let go."""

    def __init__(
        self,
        rule: Callable[[SchemaKey], WriterSchema | Exception],
        *,
        ordered: Ordered = Ordered.BY_KEY,
        grace_s: float = 30.0,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.registry = Registry(rule)
        self.learnt: dict[SchemaKey, WriterSchema | Refused] = {}
        self.pauses = Pauses(loop.time)
        self.gone: list[int] = []
        self.resumed: list[list[int]] = []
        self.waiting = SchemaWaiting(
            self.registry,
            self.learnt.__setitem__,
            grace_s=grace_s,
            ordered=ordered,
            backoff=Backoff(2.0),
            pauses=self.pauses,
            clock=loop.time,
        )
        self._running = asyncio.create_task(self.waiting.run())

    def enter(
        self, offset: int, schema_id: int, key: bytes | None = b"k", partition: int = 0
    ) -> None:
        """As the pipeline does: behind an earlier one of the key, or for the schema, or through."""
        passage = Passage(Record("events", partition, offset, key=key), 1)
        passage.open = schema_id
        self._enter(passage)

    def _enter(self, passage: Passage) -> None:
        schema = SchemaKey(passage.open)
        if self.waiting.holds(passage):
            self.waiting.join(passage)
        elif schema not in self.learnt:
            self.waiting.wait_for(schema, passage, self._resume)
        else:
            self.gone.append(passage.record.offset)

    def _resume(self, passages: Sequence[Passage]) -> None:
        self.resumed.append([passage.record.offset for passage in passages])
        for passage in passages:
            self._enter(passage)

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert not self._running.done()


def test_a_schema_is_asked_for_once_for_all_that_wait(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: SCHEMA)
        for offset in range(10):
            room.enter(offset, 7, key=b"%d" % (offset % 3))
        await room.passes(1.0)

        assert room.registry.asked == [SchemaKey(7)]
        assert sorted(room.gone) == list(range(10))

    run(scenario())


@pytest.mark.parametrize("ordered", Ordered)
def test_all_that_waited_go_on_at_once_in_the_order_of_their_offsets(
    run: Any, ordered: Ordered
) -> None:
    async def scenario() -> None:
        room = Room(lambda _: SCHEMA, ordered=ordered)
        for offset in range(10):
            room.enter(offset, 7, key=b"%d" % (offset % 3))
        await room.passes(1.0)

        assert room.resumed == [list(range(10))]

    run(scenario())


@pytest.mark.parametrize(
    ("trouble", "of_setup"),
    [
        (TryAgain("Away.", reason="schema_registry"), False),
        (Misconfigured("401.", reason="schema_registry"), True),
    ],
)
def test_records_wait_while_the_registry_is_away_and_others_go_on(
    run: Any, trouble: Exception, of_setup: bool
) -> None:
    async def scenario() -> None:
        away = True
        room = Room(lambda _: trouble if away else SCHEMA)
        room.learnt[SchemaKey(1)] = SCHEMA
        room.enter(0, 7)
        room.enter(1, 1, key=b"other")
        await room.passes(7200.0)
        (pause,) = room.pauses.active()
        before = list(room.gone)
        away = False
        await room.passes(5.0)

        assert before == [1]
        assert (pause.reason, pause.of_setup) == ("schema_registry", of_setup)
        assert room.gone == [1, 0]
        assert room.pauses.active() == ()

    run(scenario())


def test_the_registry_says_when_to_ask_again(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: TryAgain("Slow.", reason="schema_registry", retry_after_s=50.0))
        room.enter(0, 7)
        await room.passes(49.0)

        assert len(room.registry.asked) == 1

    run(scenario())


def test_an_unknown_id_is_refused_after_the_grace_and_not_before(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: UNKNOWN, grace_s=30.0)
        room.enter(0, 7)
        await room.passes(29.0)
        before = dict(room.learnt)
        await room.passes(3.0)

        assert before == {}
        assert room.learnt == {SchemaKey(7): UNKNOWN}
        assert room.gone == [0]
        assert len(room.registry.asked) >= 30 / 2

    run(scenario())


def test_an_id_that_is_registered_within_the_grace_is_known(run: Any) -> None:
    async def scenario() -> None:
        registered = False
        room = Room(lambda _: SCHEMA if registered else UNKNOWN)
        room.enter(0, 7)
        await room.passes(10.0)
        registered = True
        await room.passes(3.0)

        assert room.learnt == {SchemaKey(7): SCHEMA}

    run(scenario())


def test_the_grace_does_not_run_while_the_registry_is_away(run: Any) -> None:
    async def scenario() -> None:
        away = True
        room = Room(
            lambda _: TryAgain("Away.", reason="schema_registry") if away else UNKNOWN, grace_s=30.0
        )
        room.enter(0, 7)
        await room.passes(3600.0)
        away = False
        await room.passes(20.0)

        assert room.learnt == {}

    run(scenario())


def test_a_schema_that_is_refused_is_refused_at_once(run: Any) -> None:
    async def scenario() -> None:
        wrong = Refused("JSON Schema.", code=Code.DECODE_WRONG_SCHEMA_TYPE)
        room = Room(lambda _: wrong)
        room.enter(0, 7)
        await room.passes(0.1)

        assert room.learnt == {SchemaKey(7): wrong}

    run(scenario())


def test_order_per_key_is_kept_across_schemas(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: SCHEMA)
        room.learnt[SchemaKey(1)] = SCHEMA
        room.enter(0, 7)
        room.enter(1, 1)
        room.enter(2, 8)
        room.enter(3, 1)
        room.enter(4, 1, key=None)
        await room.passes(5.0)

        assert room.gone[0] == 4
        assert room.gone[1:] == [0, 1, 2, 3]

    run(scenario())


def test_one_that_is_tried_again_takes_no_place_of_a_later_one_of_its_key(run: Any) -> None:
    """The brake tries what it holds past those that wait, and its id may be forgotten by then."""

    async def scenario() -> None:
        room = Room(lambda _: SCHEMA)
        room.enter(1, 9)
        tried = Passage(Record("events", 0, 0, key=b"k"), 1)
        tried.open = 5
        room.waiting.wait_for(SchemaKey(5), tried, room._resume)  # noqa: SLF001
        room.enter(2, 9)
        await room.passes(1.0)

        assert sorted(room.gone) == [0, 1, 2]

    run(scenario())


def test_without_order_nobody_waits_behind_another(run: Any) -> None:
    async def scenario() -> None:
        away = True
        room = Room(
            lambda _: TryAgain("Away.", reason="schema_registry") if away else SCHEMA,
            ordered=Ordered.NOT,
        )
        room.learnt[SchemaKey(1)] = SCHEMA
        room.enter(0, 7)
        room.enter(1, 1)
        room.enter(2, 7)
        await room.passes(1.0)
        before = list(room.gone)
        away = False
        await room.passes(5.0)

        assert before == [1]
        assert sorted(room.gone) == [0, 1, 2]

    run(scenario())


def test_nonsense_ids_ask_the_registry_only_so_many_at_a_time(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: UNKNOWN, ordered=Ordered.NOT, grace_s=5.0)
        for offset in range(500):
            room.enter(offset, offset + 1)
        await room.passes(600.0)

        assert room.registry.most_asked == FETCHES_AT_ONCE
        assert sorted(room.gone) == list(range(500))

    run(scenario())


def test_what_was_given_back_is_not_let_go(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: SCHEMA)
        room.enter(0, 7, partition=0)
        room.enter(1, 7, partition=0)
        room.enter(2, 7, partition=1)
        room.waiting.sweep(lambda passage: passage.partition.partition == 1)
        room.enter(3, 7, partition=0)
        await room.passes(1.0)

        assert sorted(room.gone) == [2, 3]

    run(scenario())


def test_a_schema_that_nobody_waits_for_is_not_asked_for_any_longer(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: TryAgain("Away.", reason="schema_registry"))
        room.enter(0, 7, partition=0)
        room.enter(1, 8, key=b"other", partition=1)
        await room.passes(60.0)
        room.waiting.sweep(lambda passage: passage.partition.partition == 1)
        (left,) = room.pauses.active()
        asked = room.registry.asked.count(SchemaKey(7))
        await room.passes(60.0)
        later = room.registry.asked.count(SchemaKey(7))
        room.enter(2, 7, partition=0)
        await room.passes(60.0)

        assert left.reason == "schema_registry"
        assert later == asked < room.registry.asked.count(SchemaKey(7))
        assert room.registry.asked.count(SchemaKey(8)) > 5

    run(scenario())


def test_a_record_that_is_given_back_before_anybody_asked_is_not_asked_for(run: Any) -> None:
    async def scenario() -> None:
        room = Room(lambda _: SCHEMA)
        room.enter(0, 7)
        room.waiting.sweep(lambda _: False)
        room.enter(1, 7)
        await room.passes(1.0)

        assert room.registry.asked == [SchemaKey(7)]
        assert room.gone == [1]

    run(scenario())


def test_without_a_registry_records_wait_and_it_is_said(run: Any) -> None:
    async def scenario() -> None:
        nobody = NoRegistry()
        pauses = Pauses(asyncio.get_running_loop().time)
        waiting = SchemaWaiting(
            nobody,
            lambda *_: pytest.fail("there is nothing to learn"),
            grace_s=0.0,
            ordered=Ordered.BY_KEY,
            backoff=Backoff(2.0),
            pauses=pauses,
        )
        running = asyncio.create_task(waiting.run())
        waiting.wait_for(SchemaKey(7), Passage(Record("events", 0, 0), 1), lambda _: None)
        await asyncio.sleep(3600.0)
        (pause,) = pauses.active()

        assert not running.done()
        assert pause.of_setup
        assert "schema_registry.url" in pause.message

    run(scenario())
