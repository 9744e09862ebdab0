"""Seeded defects of the core, each of which the model has to catch; else the model is too weak.

A mutation is a change of the product's source while one directed run of the model is made; it
fails loudly where the source does not hold any more what it is to change. Without the mutation the
same run is clean.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import pytest

from processor.connector.assignment import Assignment
from processor.connector.batching import Lanes
from processor.connector.courier import Courier
from processor.connector.delivery import Inlet
from processor.connector.ledger import Ledger
from processor.connector.pipeline import Pipeline
from processor.connector.transform import Transform
from processor.experience_platform import answers
from processor.experience_platform.ims import ImsTokens
from processor.kafka.ownership import Ownership
from tests.model.adobe import GOOD, HOLD, Outcome
from tests.model.judge import BrokenError
from tests.model.kafka import PARTITIONS
from tests.model.mutation import mutated
from tests.model.world import World

ZERO = PARTITIONS[0]


def begun(world: World, *kinds: str, key: bytes | None = b"a", gap_after: int = -1) -> None:
    """These records of one partition, polled by one instance."""
    for number, kind in enumerate(kinds):
        world.produce(ZERO, key, kind)
        if number == gap_after:
            world.gap(ZERO)
    world.start("left")
    world.poll("left", 6)


def one_waits(world: World) -> None:
    """The first request is not answered for a while, the second one is."""
    world.adobe.script.append(Outcome(HOLD))
    begun(world, "good", "state")
    world.advance(2.5)
    world.advance(0.5)
    world.request_answered(0, GOOD)


def one_before_a_gap_waits(world: World) -> None:
    world.adobe.script.append(Outcome(HOLD))
    begun(world, "good", "state", "state", gap_after=0)
    world.advance(2.5)
    world.advance(0.5)
    world.request_answered(0, GOOD)


def a_late_answer(world: World) -> None:
    """A partition goes and comes back while its first request is on its way."""
    world.adobe.standing = Outcome(HOLD)
    begun(world, "good")
    world.advance(1.0)
    world.revoke(ZERO)
    world.move(ZERO, "left")
    world.poll("left", 6)
    world.advance(0.2)
    world.request_answered(0, GOOD)
    world.advance(1.5)
    world.advance(0.5)


def a_short_answer(world: World) -> None:
    world.adobe.standing = Outcome("short")
    begun(world, "good", "good", "good")
    world.advance(1.5)
    world.advance(0.5)


def one_of_four_is_refused(world: World) -> None:
    world.adobe.script.append(Outcome("mask", mask=0b0100))
    begun(world, "good", "good", "good", "good")
    world.advance(1.5)
    world.advance(0.5)


def a_letter_waits(world: World) -> None:
    world.kafka.letters.append("hold")
    begun(world, "unreadable")
    world.advance(1.5)
    world.advance(0.5)
    world.letters_answered("ok")


def an_outage(world: World) -> None:
    world.adobe.standing = Outcome("503")
    begun(world, *(["good"] * 9), "state")
    world.poll("left", 6)
    for _ in range(10):
        world.advance(1.5)


def an_outage_with_all_slots(world: World) -> None:
    """The limit of requests in flight, which falls to one as well, is kept where it is."""
    world.adobe.standing = Outcome("503")
    world.start("left")
    courier = cast("Any", world.workers["left"].machine)._courier  # noqa: SLF001 - a defence less
    courier._concurrency.refused = lambda *_: None  # noqa: SLF001
    begun(world, *(["good"] * 9), "state")
    world.poll("left", 6)
    for _ in range(10):
        world.advance(1.5)


def throttled(world: World) -> None:
    world.adobe.script.append(Outcome("429", retry_after="9"))
    begun(world, "good", "good")
    world.advance(0.5)
    for _ in range(10):
        world.produce(ZERO, b"a", "state")
        world.poll("left", 6)
        world.advance(1.5)


def all_is_well(world: World) -> None:
    begun(world, "good", "state", "several")
    world.advance(0.5)
    for _ in range(3):
        world.produce(ZERO, b"a", "good")
        world.poll("left", 6)
        world.advance(1.5)


def one_key(world: World) -> None:
    world.adobe.script.append(Outcome("503"))
    begun(world, "state", "state", "state")
    world.advance(1.5)


def a_belated_commit(world: World) -> None:
    """What was decided before a partition went is committed after it went."""
    begun(world, "good", "good")
    world.start("right")
    world.advance(0.5)
    worker = world.workers["left"]
    marks = worker.machine.ledger.committable()
    world.move(ZERO, "right")
    world.produce(ZERO, b"a", "good")
    world.poll("right", 6)
    world.advance(1.5)
    worker.source.commit(marks)
    world.poll("left", 0)


def a_quick_return(world: World) -> None:
    """A partition goes with a record open and is back before the consumer's thread has turned.

    Nothing that had ended before is believed this time, so nothing of it may be committed.
    """
    world.adobe.script.append(Outcome(HOLD))
    begun(world, "good", "state")
    world.advance(0.5)
    world.kafka.tells_ids = False
    world.revoke(ZERO)
    world.move(ZERO, "left")
    world.poll("left", 0)


def a_stop(world: World) -> None:
    begun(world, "good", "state", "good")
    world.advance(0.5)
    world.stop("left")


def a_replay(world: World) -> None:
    """A letter about one of two targets, and one about an unreadable record, are replayed."""
    begun(world, "refused", "unreadable")
    world.advance(1.5)
    world.replay_letters(2)


class Mutation(NamedTuple):
    """A defect: where, what stands there and what is to, a run that shows it, and as what."""

    owner: Any
    name: str
    changes: tuple[tuple[str, str], ...]
    run: Callable[[World], None]
    shows: set[str]


WRITTEN = "Mark(offset, write(offset, ended, self.origin), self.generation)"
OURS = "if m.generation == self._generations.get(p)"
LAST = "self._outbox.last([batch])"
MUTATIONS = {
    "commit polled instead of settled": Mutation(
        Assignment,
        "mark",
        ((WRITTEN, "Mark(self.next_offset, generation=self.generation)"),),
        one_waits,
        {"I2"},
    ),
    "ignore the epoch": Mutation(
        Ledger,
        "end",
        (("assignment is None or assignment.epoch != epoch", "assignment is None"),),
        a_late_answer,
        {"I4"},
    ),
    "take a short array for success": Mutation(
        answers,
        "_read_verdicts",
        (
            ("if len(items) != sent:", "if len(items) > sent:"),
            (
                "return Settled(tuple(verdicts), status)",
                "return Settled((*verdicts, *[Accepted('?')] * (sent - len(items))), status)",
            ),
        ),
        a_short_answer,
        {"I2"},
    ),
    "index into a filtered list": Mutation(
        Inlet,
        "_settled",
        (
            (
                "zip(batch.parcels, answer.verdicts, strict=True)",
                (
                    "zip(batch.parcels, sorted(answer.verdicts, key=lambda verdict: "
                    "not isinstance(verdict, Rejected)), strict=True)"
                ),
            ),
        ),
        one_of_four_is_refused,
        {"I12"},
    ),
    "settle before the dead letter is acknowledged": Mutation(
        Pipeline,
        "_fail",
        (
            (
                "self._graveyard.bury(passage, self._buried)",
                "self._graveyard.bury(passage, self._buried); self._buried(passage)",
            ),
        ),
        a_letter_waits,
        {"I2"},
    ),
    "retry with a new _id": Mutation(
        Inlet,
        "_post",
        (
            (
                "[parcel.message.body for parcel in batch.parcels]",
                (
                    '[parcel.message.body.replace(b\'"_id":"\', b\'"_id":"%d-\' % batch.attempts)'
                    " for parcel in batch.parcels]"
                ),
            ),
        ),
        an_outage,
        {"I9"},
    ),
    "buy a token for each request": Mutation(
        ImsTokens, "token", (("token = self._usable()", "token = None"),), all_is_well, {"I16"}
    ),
    "drop on 503": Mutation(
        Inlet,
        "_away",
        ((LAST, "[self._end(parcel, None) for parcel in batch.parcels]"),),
        an_outage,
        {"I2"},
    ),
    "dead-letter on 503": Mutation(
        Inlet,
        "_away",
        (
            (
                LAST,
                (
                    "[self._end(parcel, Failure(parcel.name, Refused('503', "
                    "code=Code.DELIVERY_NO_VERDICT))) for parcel in batch.parcels]"
                ),
            ),
        ),
        an_outage,
        {"I13"},
    ),
    "commit one too far": Mutation(
        Assignment,
        "mark",
        ((WRITTEN, "Mark(offset + 1, write(offset + 1, ended, self.origin), self.generation)"),),
        one_waits,
        {"I2", "I23"},
    ),
    "commit one too few": Mutation(
        Assignment,
        "mark",
        ((WRITTEN, "Mark(max(0, offset - 1), generation=self.generation)"),),
        a_stop,
        {"I7"},
    ),
    "skip on a gap": Mutation(
        Assignment,
        "mark",
        (
            (
                WRITTEN,
                (
                    "Mark(next((o for o in self.open if o + 1 in self.open or "
                    "o + 1 == self.next_offset), self.next_offset), generation=self.generation)"
                ),
            ),
        ),
        one_before_a_gap_waits,
        {"I2"},
    ),
    "let one of a key overtake another": Mutation(
        Lanes, "enter", (("if waiting is None:", "if waiting is None or True:"),), one_key, {"I8"}
    ),
    "commit what is another's": Mutation(
        Ownership,
        "gone",
        (
            ("self._generations.pop(partition, None)", "pass"),
            ("self._asked.pop(partition, None)", "pass"),
        ),
        a_belated_commit,
        {"I4"},
    ),
    "commit what an earlier assignment decided": Mutation(
        Ownership, "commit", ((OURS, "if p in self._generations"),), a_quick_return, {"I4"}
    ),
    "replay what had not failed": Mutation(
        Transform,
        "parcels",
        (("passage.story.targets if passage.story is not None else NOTHING", "NOTHING"),),
        a_replay,
        {"I22"},
    ),
    "do not wait for Retry-After": Mutation(
        Courier, "hold", (("self._clock() + seconds", "self._clock()"),), throttled, {"I17"}
    ),
    "probe with everything": Mutation(
        Inlet, "_may_send", (("(not self._running and ", "("),), an_outage_with_all_slots, {"I17"}
    ),
}
RUNS = sorted({mutation.run for mutation in MUTATIONS.values()}, key=lambda run: run.__name__)


def judged(run: Callable[[World], None]) -> None:
    with World() as world:
        run(world)
        world.check()
        world.finish()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_without_a_mutation_the_run_is_clean(run: Callable[[World], None]) -> None:
    judged(run)


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_mutation_is_caught(mutation: Mutation) -> None:
    with (
        mutated(mutation.owner, mutation.name, *mutation.changes),
        pytest.raises(BrokenError) as caught,
    ):
        judged(mutation.run)

    assert caught.value.invariant in mutation.shows
