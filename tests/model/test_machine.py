"""A state machine over the product's core: whatever happens in whatever order, the promises hold.

Two instances of the real assembly (task, source, membership, ownership, ledger, pipeline, inlets,
courier, token cache, dead letters, commit metadata) in virtual time, with doubles for what is
outside: Kafka, Adobe, the registry. Checked after every step, by their numbers in the fault
catalogue:

- I2 no early commit, in the offset and in its metadata; I3 commits go forward; I4 ownership;
- I5 one fate; I6 repeats are explained, and what was committed as ended is not sent again;
  I7 a clean hand-over repeats nothing; I8 order per key; I9 one ``_id`` and the same bytes;
- I11 complete letters; I12 blame is exact; I13 an outage convicts nobody;
- I15 records, requests, their size and rate are bounded; I16 token discipline; I17 Retry-After is
  kept, and trouble is probed by one request at a time; I20 the books, at every scrape;
- I22 a replay sends what it is asked for and nothing else, and moves nobody's offsets;
- I23 gaps. At the end everything is mended: I1 nothing is lost, and I18 everything ends.

Not here: I10 (golden examples), I14 (its time is I18's), I19's statuses and I21 (real processes),
I24 (the reasons are part of the books).

``make test`` runs the same examples every time; docs/tests.md says how to draw others, for longer.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.adobe import HOLD, OK, Outcome
from tests.model.kafka import PARTITIONS
from tests.model.kinds import KINDS
from tests.model.world import MOST_POLLED, NAMES, World

EXAMPLES, STEPS = 500, 40
LONG = int(os.environ.get("MODEL_EXAMPLES", "0"))

partitions = st.sampled_from(PARTITIONS)
keys = st.sampled_from([b"a", b"b", None])
names = st.sampled_from(NAMES)
outcomes = st.one_of(
    st.sampled_from([
        Outcome(OK),
        Outcome("short"),
        Outcome("long"),
        Outcome("garbage"),
        Outcome("cut"),
        Outcome("reset"),
        Outcome("reset", after=True),
        Outcome("silence"),
        Outcome("silence", after=True),
        Outcome("400"),
        Outcome("401"),
        Outcome("403"),
        Outcome("413"),
        Outcome("429", retry_after="7"),
        Outcome("429", retry_after="1000000000"),
        Outcome("429", retry_after="soon"),
        Outcome("500"),
        Outcome("503"),
        Outcome("504", after=True),
    ]),
    st.builds(Outcome, st.sampled_from(["mask", "again"]), mask=st.integers(1, 15)),
)  # fmt: skip
answers = outcomes | st.just(Outcome(HOLD))


class Promises(RuleBasedStateMachine):
    """What may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World().__enter__()

    def _picked(self, name: str) -> str:
        """A running instance; this one if it runs."""
        running = self.world.workers
        return name if name in running else next(iter(running))

    def _running(self) -> bool:
        return bool(self.world.workers)

    @initialize(count=st.integers(0, 12))
    def begins(self, count: int) -> None:
        for number in range(count):
            self.world.produce(PARTITIONS[number % 2], b"ab"[number % 3 :][:1] or None, "both")
        self.world.start(NAMES[0])

    @rule(
        partition=partitions, key=keys, kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=6)
    )
    def produce(self, partition: Any, key: Any, kinds: list[str]) -> None:
        for kind in kinds:
            self.world.produce(partition, key, kind)

    @rule(partition=partitions)
    def gap(self, partition: Any) -> None:
        self.world.gap(partition)

    @precondition(_running)
    @rule(name=names, budget=st.integers(1, MOST_POLLED))
    def poll(self, name: str, budget: int) -> None:
        self.world.poll(self._picked(name), budget)

    @rule(seconds=st.sampled_from([0.03, 0.1, 0.5, 1.2, 5.0, 35.0, 400.0, 3500.0]))
    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    @precondition(_running)
    @rule(name=names, seconds=st.sampled_from([0.1, 1.1, 3.0]))
    def work(self, name: str, seconds: float) -> None:
        self.world.poll(self._picked(name), MOST_POLLED)
        self.world.advance(seconds)

    @rule(seconds=st.sampled_from([-86_400.0, 86_400.0]))
    def wall_jump(self, seconds: float) -> None:
        self.world.wall_jump(seconds)

    @rule(script=st.lists(answers, min_size=1, max_size=4))
    def next_answers(self, script: list[Outcome]) -> None:
        self.world.adobe.script.extend(script)

    @rule(outcome=answers)
    def from_now_on(self, outcome: Outcome) -> None:
        self.world.adobe.standing = outcome

    @precondition(lambda self: self.world.adobe.held)
    @rule(number=st.integers(0, 9), outcome=outcomes)
    def request_answered(self, number: int, outcome: Outcome) -> None:
        self.world.request_answered(number, outcome)

    @rule(script=st.lists(st.sampled_from(["ok", "fail", "unknown", "hold"]), max_size=4))
    def next_letters(self, script: list[str]) -> None:
        self.world.kafka.letters.extend(script)

    @precondition(lambda self: self.world.kafka.held)
    @rule(outcome=st.sampled_from(["ok", "fail", "unknown"]))
    def letters_answered(self, outcome: str) -> None:
        self.world.letters_answered(outcome)

    @rule(script=st.lists(st.sampled_from(["ok", "fail", "unknown"]), max_size=4))
    def next_commits(self, script: list[str]) -> None:
        self.world.kafka.commits.extend(script)

    @rule(tells=st.booleans())
    def broker_tells_ids(self, *, tells: bool) -> None:
        self.world.kafka.tells_ids = tells

    @rule(state=st.sampled_from(["ok", "away", "silent"]))
    def ims(self, state: str) -> None:
        self.world.adobe.ims = state

    @rule()
    def tokens_end(self) -> None:
        self.world.adobe.revoke_tokens()

    @rule(good=st.sampled_from(["one", "two"]))
    def rotate_secret(self, good: str) -> None:
        self.world.adobe.good_secrets = {good}

    @precondition(_running)
    @rule(name=names, away=st.booleans())
    def registry(self, name: str, *, away: bool) -> None:
        self.world.workers[self._picked(name)].registry.away = away

    @rule(name=names)
    def start(self, name: str) -> None:
        self.world.start(name)

    @precondition(_running)
    @rule(partition=partitions, name=names)
    def move(self, partition: Any, name: str) -> None:
        self.world.move(partition, self._picked(name))

    @rule(partition=partitions)
    def revoke(self, partition: Any) -> None:
        self.world.revoke(partition)

    @precondition(_running)
    @rule(partition=partitions, name=names)
    def move_back_and_forth(self, partition: Any, name: str) -> None:
        self.world.revoke(partition)
        self.world.move(partition, self._picked(name))

    @precondition(_running)
    @rule(name=names)
    def lose(self, name: str) -> None:
        self.world.lose(self._picked(name))

    @precondition(_running)
    @rule(name=names)
    def crash(self, name: str) -> None:
        self.world.crash(self._picked(name))

    @precondition(_running)
    @rule(name=names)
    def stop(self, name: str) -> None:
        self.world.stop(self._picked(name))

    @rule(partition=partitions, offset=st.integers(0, 30))
    def operator_reset(self, partition: Any, offset: int) -> None:
        self.world.operator_reset(partition, min(offset, self.world.judge.ends[partition]))

    @rule(partition=partitions, first=st.integers(0, 20), length=st.integers(0, 8))
    def replay(self, partition: Any, first: int, length: int) -> None:
        self.world.replay(partition, first, first + length)

    @rule(number=st.integers(1, 8))
    def replay_letters(self, number: int) -> None:
        self.world.replay_letters(number)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            if self.world.workers or any(self.world.judge.log.values()):
                self.world.finish()
        finally:
            self.world.__exit__(None, None, None)


@pytest.mark.timeout(0 if LONG else 900)
def test_the_promises_hold_whatever_happens() -> None:
    profile = settings(
        max_examples=LONG or EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
        print_blob=bool(LONG),
    )
    run_state_machine_as_test(Promises, settings=profile)
