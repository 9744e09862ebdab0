"""A set-up that refuses everything, in virtual time: few letters, the order kept, all resumed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from processor.connector.judge import QUIET_S
from processor.settings.models import ErrorsSettings
from tests.model import worker
from tests.model.adobe import GOOD, Outcome
from tests.model.kafka import PARTITIONS
from tests.model.worker import SETTINGS
from tests.model.world import World

LEAST = SETTINGS.errors.systemic_min
ALL = Outcome("mask", mask=(1 << 64) - 1)
TARGETS = 2


def held(world: World) -> int:
    brakes = (worker.machine.brake for worker in world.workers.values())
    return sum(hold.records for brake in brakes if brake for hold in brake.holdings())


def fill(world: World, draw: random.Random, count: int) -> None:
    for _ in range(count):
        kind = draw.choice(["state", "good", "both", "several", "state"])
        world.produce(draw.choice(PARTITIONS), draw.choice([b"a", b"b", b"c", None]), kind)


@contextmanager
def refused(count: int, kind: str, by: Outcome = ALL) -> Iterator[World]:
    """So many records of one key that have been answered so, and are held by now."""
    with World() as world:
        world.judge.old_news_is_wrong = True
        world.start("left")
        world.adobe.standing = by
        for _ in range(count):
            world.produce(PARTITIONS[0], b"a", kind)
        world.passes(10)
        yield world


@pytest.mark.parametrize("seed", range(24))
def test_what_was_refused_by_the_set_up_is_delivered_once_it_is_mended(seed: int) -> None:
    draw = random.Random(seed)
    random.seed(seed)
    with World() as world:
        world.judge.old_news_is_wrong = True
        world.start("left")
        fill(world, draw, draw.choice([0, 10, 30]))
        world.passes(5)
        world.adobe.standing = ALL
        fill(world, draw, 60)
        world.passes(draw.choice([20, 120]))
        waited = held(world)
        if draw.random() < 0.3:
            world.move(PARTITIONS[1], "left")
        world.mend()
        fill(world, draw, 10)
        world.passes(60)
        letters = len({letter.source for letter in world.judge.letters})
        still_held = held(world)
        world.finish()

        assert waited
        assert still_held == 0
        assert letters <= TARGETS * LEAST
        assert len({letter.source for letter in world.judge.letters}) == letters


def test_on_a_quiet_topic_of_bad_records_a_minute_of_them_become_letters_and_no_more() -> None:
    """One record a second, all refused, with the defaults: a hundred never come together."""
    usual = SETTINGS.model_copy(update={"errors": ErrorsSettings()})
    with patch.object(worker, "SETTINGS", usual), World() as world:
        world.start("left")
        world.adobe.standing = ALL
        for _ in range(3 * int(QUIET_S)):
            world.produce(PARTITIONS[0], b"a", "good")
            world.passes(1)
        letters, waited = len(world.judge.letters), held(world)
        world.mend()
        world.passes(120)
        world.finish()

        assert 0 < letters <= QUIET_S + 1
        assert waited
        assert len(world.judge.letters) == letters


def test_only_what_had_failed_is_sent_again() -> None:
    """One of two targets refuses everything; what the other one has accepted stays as it is."""
    with refused(20, "refused", by=GOOD) as world:
        waited = held(world)
        world.mend()
        world.passes(30)
        accepted = world.judge.accepted
        world.finish()

        assert waited
        assert set(accepted.values()) == {1}
        assert accepted.total() >= 2 * 20 - LEAST


def test_a_hand_over_does_not_wait_for_what_is_held_and_its_next_owner_goes_on() -> None:
    with refused(20, "good") as world:
        waited = held(world)
        world.start("right")
        before_s = world.loop.time()
        world.move(PARTITIONS[0], "right")
        took_s = world.loop.time() - before_s
        world.mend()
        world.finish()

        assert waited
        assert took_s < 1.0
        assert len(world.judge.letters) <= LEAST


def test_a_stop_gives_back_what_is_held() -> None:
    with refused(20, "state") as world:
        waited = held(world)
        before_s = world.loop.time()
        world.stop("left")
        took_s = world.loop.time() - before_s
        world.mend()
        world.finish()

        assert waited
        assert took_s < 1.0


def test_released_they_are_letters_and_the_task_goes_on() -> None:
    with refused(30, "good") as world:
        world.release()
        world.passes(10)
        letters = len(world.judge.letters)
        world.mend()
        world.finish()

        assert letters == 30
