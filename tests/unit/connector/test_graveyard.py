import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from processor.connector.backoff import Backoff
from processor.connector.graveyard import DeadLetters, Names, letter_of, stacktrace
from processor.connector.passage import Failure, Named, Passage, Story
from processor.connector.pauses import Pauses
from processor.errors import Code, Misconfigured, Refused, TryAgain, Violation
from processor.kafka.dead_letters import DeadLetterWriter, LetterTooLarge
from processor.kafka.letter import STACKTRACE_BYTES, Letter
from processor.kafka.topics import Topics
from processor.record import Record
from processor.telemetry.metrics import TaskMetrics

TOO_LARGE = LetterTooLarge("Too large.", reason="dead_letter_topic")
AWAY = TryAgain("No acknowledgement.", reason="dead_letter_topic")
DENIED = Misconfigured("Denied.", reason="dead_letter_topic")
NAMES = Names("name", "0", lambda topic: f"{topic}.dlq")
VIOLATION = Violation("type", "expected type: String, found: Long", "#/a", "#/properties/a")
REFUSED = Refused("It breaks a rule.", code=Code.GATE_VIOLATION, violations=(VIOLATION,))

Answer = TryAgain | Misconfigured | None


class Broker:
    """Takes letters; answers each as the script says, then with an acknowledgement.

    ``rule`` decides by the letter, where the script has nothing.
    """

    def __init__(self, *answers: Answer, rule: Callable[[Letter], Answer] = lambda _: None) -> None:
        self.answers, self.rule = deque(answers), rule
        self.letters: list[tuple[str, Letter, int | None]] = []

    def write(
        self,
        topic: str,
        letter: Letter,
        *,
        partition: int | None,
        acknowledged: Callable[[Answer], None],
    ) -> None:
        self.letters.append((topic, letter, partition))
        acknowledged(self.answers.popleft() if self.answers else self.rule(letter))


class Lookup:
    """Knows how many partitions topics have, once asked; fails first as it is told."""

    def __init__(self, count: int = 4, *failures: TryAgain | Misconfigured) -> None:
        self.count, self.failures = count, deque(failures)
        self.known: dict[str, int] = {}
        self.asked = 0

    def known_partitions(self, topic: str) -> int | None:
        return self.known.get(topic)

    def dead_letter_partitions(self, topic: str, source_topic: str) -> int:
        if topic not in self.known:
            self.asked += 1
            if self.failures:
                raise self.failures.popleft()
            self.known[topic] = self.count
        return self.known[topic]

    def forget(self, topic: str) -> None:
        self.known.pop(topic, None)


class Yard:
    """A graveyard and who was buried there."""

    def __init__(self, broker: Broker, lookup: Lookup | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.broker, self.lookup = broker, lookup or Lookup()
        self.pauses, self.metrics = Pauses(loop.time), TaskMetrics()
        self.acknowledged: list[int] = []
        self.gone: set[int] = set()
        self.letters = DeadLetters(
            cast("DeadLetterWriter", broker),
            cast("Topics", self.lookup),
            NAMES,
            wanted=lambda passage: passage.record.offset not in self.gone,
            backoff=Backoff(1.0),
            pauses=self.pauses,
            metrics=self.metrics,
        )
        self._running = asyncio.create_task(self.letters.run())

    def bury(self, *offsets: int, partition: int = 0) -> None:
        for offset in offsets:
            self.letters.bury(
                failed(offset, partition=partition),
                lambda passage: self.acknowledged.append(passage.record.offset),
            )

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert not self._running.done()

    @property
    def failures(self) -> float | None:
        return self.metrics.registry.get_sample_value("processor_dlq_produce_failures_total")


def failed(offset: int = 0, *, partition: int = 0, story: Story | None = None) -> Passage:
    record = Record(
        "events", partition, offset, 123, key=b"k", value=b"v", headers=[("a", b"1"), ("a", None)]
    )
    passage = Passage(record, 1, failures=[Failure("event", REFUSED, 2)], story=story)
    passage.event = Named("pointsIssued", "e-1", "17")
    return passage


def test_a_letter_is_acknowledged_when_the_broker_has_it(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker())
        yard.bury(5)
        await yard.passes(0.1)

        ((topic, letter, partition),) = yard.broker.letters
        assert yard.acknowledged == [5]
        assert (topic, partition) == ("events.dlq", 0)
        assert (letter.key, letter.value, list(letter.headers)) == (
            b"k", b"v", [("a", b"1"), ("a", None)],
        )  # fmt: skip
        assert yard.pauses.active() == ()

    run(scenario())


@pytest.mark.parametrize(("answer", "of_setup"), [(AWAY, False), (DENIED, True)])
def test_a_letter_is_never_given_up(run: Any, answer: Answer, of_setup: bool) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(rule=lambda _: answer))
        yard.bury(0)
        await yard.passes(7200.0)
        (pause,) = yard.pauses.active()
        before = list(yard.acknowledged)
        yard.broker.rule = lambda _: None
        await yard.passes(2.0)

        assert before == []
        assert (pause.reason, pause.of_setup) == ("dead_letter_topic", of_setup)
        assert yard.acknowledged == [0]
        assert yard.pauses.active() == ()
        assert yard.failures == len(yard.broker.letters) - 1

    run(scenario())


def test_a_letter_that_is_too_large_is_trimmed_and_its_body_stays_whole(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(TOO_LARGE))
        yard.bury(0)
        await yard.passes(0.06)

        (_, whole, _), (_, trimmed, _) = yard.broker.letters
        assert whole.errors == (VIOLATION,)
        assert (trimmed.errors, trimmed.stacktrace) == ((), "")
        assert (trimmed.key, trimmed.value) == (b"k", b"v")
        assert yard.acknowledged == [0]

    run(scenario())


def test_one_that_is_too_large_even_so_waits_for_a_person(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(rule=lambda _: TOO_LARGE))
        yard.bury(0)
        await yard.passes(600.0)

        (pause,) = yard.pauses.active()
        assert pause.of_setup
        assert yard.acknowledged == []

    run(scenario())


def test_one_letter_that_waits_keeps_no_other_back(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(rule=lambda letter: AWAY if letter.source.offset == 0 else None))
        yard.bury(0, 1, 2)
        await yard.passes(60.0)

        assert yard.acknowledged == [1, 2]

    run(scenario())


def test_while_one_letter_waits_the_success_of_others_does_not_say_that_all_is_well(
    run: Any,
) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(rule=lambda letter: TOO_LARGE if letter.source.offset == 0 else None))
        yard.bury(0)
        await yard.passes(60.0)
        yard.bury(1)
        await yard.passes(0.001)
        (pause,) = yard.pauses.active()
        yard.gone = {0}
        await yard.passes(5.0)

        assert pause.of_setup
        assert yard.acknowledged == [1]
        assert yard.pauses.active() == ()

    run(scenario())


class SilentBroker(Broker):
    """Takes letters and says nothing until it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[Answer], None]] = []

    def write(
        self,
        topic: str,
        letter: Letter,
        *,
        partition: int | None,
        acknowledged: Callable[[Answer], None],
    ) -> None:
        self.letters.append((topic, letter, partition))
        self.waiting.append(acknowledged)


def test_a_letter_that_nobody_acknowledges_is_a_reason_not_to_be_ready(run: Any) -> None:
    async def scenario() -> None:
        broker = SilentBroker()
        yard = Yard(broker)
        yard.bury(0)
        await yard.passes(9.0)
        before = yard.pauses.active()
        await yard.passes(2.0)
        (pause,) = yard.pauses.active()
        broker.waiting[0](None)
        await yard.passes(0.1)

        assert before == ()
        assert (pause.reason, pause.of_setup) == ("dead_letter_topic", False)
        assert yard.acknowledged == [0]
        assert len(broker.letters) == 1
        assert yard.pauses.active() == ()

    run(scenario())


def test_the_same_partition_where_the_topic_has_it_else_the_key_decides(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(), Lookup(2))
        yard.bury(0, partition=1)
        yard.bury(1, partition=2)
        await yard.passes(1.0)

        where = {letter.source.partition: partition for _, letter, partition in yard.broker.letters}
        assert where == {1: 1, 2: None}

    run(scenario())


def test_the_topic_is_looked_up_once_for_many_letters(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker())
        yard.bury(*range(100))
        await yard.passes(10.0)

        assert yard.lookup.asked == 1
        assert len(yard.acknowledged) == 100

    run(scenario())


def test_letters_that_wait_for_their_topic_take_one_thread_however_many_they_are(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(), Lookup(1, *[AWAY] * 200))
        yard.bury(*range(100))
        await yard.passes(60.0)

        assert len(yard.acknowledged) == 100
        assert cast("Any", asyncio.get_running_loop()).most_threads == 1

    run(scenario())


def test_a_topic_that_cannot_be_looked_up_is_asked_for_again(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(), Lookup(1, AWAY, DENIED))
        yard.bury(0)
        await yard.passes(10.0)

        assert yard.acknowledged == [0]
        assert yard.lookup.asked == 3
        assert yard.pauses.active() == ()

    run(scenario())


def test_a_topic_that_was_deleted_is_looked_up_anew(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(None, AWAY))
        yard.bury(0)
        await yard.passes(0.1)
        yard.bury(1)
        await yard.passes(5.0)

        assert yard.lookup.asked == 2
        assert yard.acknowledged == [0, 1]

    run(scenario())


def test_a_letter_of_a_record_that_was_given_back_is_its_next_owner_s(run: Any) -> None:
    async def scenario() -> None:
        yard = Yard(Broker(rule=lambda _: AWAY))
        yard.bury(0, 1)
        await yard.passes(60.0)
        yard.gone = {0, 1}
        await yard.passes(2.0)
        written = len(yard.broker.letters)
        yard.broker.rule = lambda _: None
        await yard.passes(60.0)

        assert len(yard.broker.letters) == written
        assert yard.acknowledged == []
        assert yard.pauses.active() == ()

    run(scenario())


# What a letter says.


def test_a_letter_tells_the_whole_story() -> None:
    passage = failed(9)
    other = Refused("No.", code=Code.DELIVERY_REFUSED, http_status=400, xaction_id="x-1")
    passage.failures.append(Failure("profile#3", other, 5))

    letter = letter_of(passage, NAMES)

    assert str(letter.source) == "events-0@9"
    assert letter.source_timestamp_ms == 123
    assert (letter.code, letter.stage) == (Code.GATE_VIOLATION, "TRANSFORMATION")
    assert letter.targets == ("event", "profile#3")
    assert (letter.event_id, letter.event_name, letter.schema_id) == ("e-1", "pointsIssued", "17")
    assert (letter.attempts, letter.replay_count, letter.replay_id) == (5, 0, None)
    assert len(letter.fingerprint) == 12


def test_a_letter_that_failed_again_speaks_of_the_original_record() -> None:
    story = Story("events", 3, 77, 55, frozenset({"profile", "event#1"}), 4, [("own", b"1")])
    passage = failed(9, story=story)
    passage.failures = [Failure("", Refused("Cut.", code=Code.DECODE_TRUNCATED))]

    letter = letter_of(passage, Names("name", "0", NAMES.dead_letter_topic, replay_id="r-1"))

    assert str(letter.source) == "events-3@77"
    assert letter.source_timestamp_ms == 55
    assert list(letter.headers) == [("own", b"1")]
    assert letter.targets == ("event#1", "profile")
    assert (letter.replay_count, letter.replay_id) == (5, "r-1")


def test_a_letter_that_failed_again_names_what_was_left_out_as_old_news_too() -> None:
    story = Story("events", 3, 77, 55, frozenset({"event", "profile"}), 0)
    passage = failed(9, story=story)
    passage.failures = [Failure("event", Refused("No.", code=Code.DELIVERY_REFUSED))]
    passage.stale = ("profile",)

    assert letter_of(passage, NAMES).targets == ("event", "profile")


def test_the_index_of_a_message_does_not_change_the_kind_of_failure() -> None:
    first, second = failed(), failed()
    first.failures = [Failure("event#1", REFUSED)]
    second.failures = [Failure("event#2", REFUSED)]

    assert letter_of(first, NAMES).fingerprint == letter_of(second, NAMES).fingerprint


def test_a_stack_trace_shows_where_and_nothing_of_what() -> None:
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        try:
            int("customer@example.com")
        except ValueError as error:
            raise Refused("It cannot be read.", code=Code.DECODE_VALUE) from error

    with pytest.raises(Refused) as caught:
        deep(200)
    text = stacktrace(Failure("", caught.value))

    assert len(text.encode()) <= STACKTRACE_BYTES
    assert text.endswith("Refused: It cannot be read.")
    assert "in deep" in text
    assert "@" not in text


def test_a_letter_that_failed_before_any_target_names_those_of_its_replay() -> None:
    broken = failed(9)
    broken.failures = [Failure("", Refused("Cut.", code=Code.DECODE_TRUNCATED))]
    names = Names("name", "0", NAMES.dead_letter_topic, targets=("loyalty",))

    assert letter_of(broken, names).targets == ("loyalty",)
    assert letter_of(broken, NAMES).targets == ()
    assert letter_of(failed(9), names).targets == ("event",)
