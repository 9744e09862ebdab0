"""Ten minutes without one of the others: no dead letter, nothing lost, and it drains by itself."""

import random
from collections.abc import Callable

import pytest

from processor.kafka.progress import Mark
from tests.model.adobe import Outcome
from tests.model.kafka import PARTITIONS
from tests.model.world import World

OUTAGE_S = 600
KINDS = ("good", "both", "several", "state")
STEPS = 160
"""Full jitter below 10 s makes about 120 steps in ten minutes; one more try a step doubles that."""


def platform(what: str) -> Callable[[World], None]:
    def away(world: World) -> None:
        world.adobe.standing = Outcome(what)

    return away


def ims(what: str) -> Callable[[World], None]:
    def away(world: World) -> None:
        world.adobe.ims = what
        world.adobe.revoke_tokens()

    return away


def registry(world: World) -> None:
    for worker in world.workers.values():
        worker.registry.away = True


def broker(world: World) -> None:
    """Nothing is acknowledged; nothing can be polled either, see :meth:`World.passes`."""
    world.kafka.commits.extend(["fail"] * 10 * OUTAGE_S)
    world.kafka.letters.extend(["fail"] * 10 * OUTAGE_S)


OUTAGES = {
    "503": platform("503"),
    "500 for everything": platform("500"),
    "connection refused": platform("unreached"),
    "connection reset": platform("reset"),
    "429": platform("429"),
    "IMS away": ims("away"),
    "IMS silent": ims("silent"),
    "registry": registry,
    "broker": broker,
}


def fill(world: World, count: int, *kinds: str) -> None:
    for number in range(count):
        world.produce(PARTITIONS[number % 2], b"key%d" % (number % 5), kinds[number % len(kinds)])


def committed(world: World) -> int:
    return sum(world.judge.committed.get(p, Mark(0)).offset for p in PARTITIONS)


@pytest.mark.parametrize("outage", OUTAGES)
def test_ten_minutes_of_an_outage_write_no_dead_letter(outage: str) -> None:
    kinds = (*KINDS, "new_schema") if outage == "registry" else KINDS
    with World() as world:
        world.start("left")
        fill(world, 8, *KINDS)
        world.passes(5)
        before = committed(world)
        OUTAGES[outage](world)
        fill(world, 20, *kinds)

        world.passes(OUTAGE_S, budget=0 if outage == "broker" else 6)

        during, open_ones = committed(world), world.judge.everything_ended()
        assert before == 8
        assert during < 28
        assert open_ones
        world.finish()
        assert committed(world) == sum(world.judge.ends.values()) == 28
        assert world.judge.letters == []


def test_a_secret_that_is_revoked_in_mid_load_gives_way_to_the_next() -> None:
    with World() as world:
        world.adobe.good_secrets = {"one", "two"}
        world.start("left")
        fill(world, 12, *KINDS)
        world.passes(1)
        world.adobe.good_secrets = {"two"}
        world.adobe.revoke_tokens()
        fill(world, 12, *KINDS)

        world.passes(20)

        assert world.adobe.asked == ["one", "one", "two"]
        assert committed(world) == 24
        assert world.judge.letters == []


def test_while_no_secret_is_good_each_is_tried_once_a_step() -> None:
    random.seed(7)
    with World() as world:
        world.start("left")
        fill(world, 12, *KINDS)
        world.passes(1)
        world.adobe.good_secrets = set()
        world.adobe.revoke_tokens()
        del world.adobe.asked[:]
        fill(world, 12, *KINDS)

        world.passes(OUTAGE_S)

        asked = world.adobe.asked
        steps = [asked[place : place + 2] for place in range(0, len(asked), 2)]
        assert 10 < len(steps) < STEPS, len(steps)
        assert all(sorted(step) == ["one", "two"] for step in steps), "none is tried twice a step"
        world.finish()
        assert world.judge.letters == []
        assert committed(world) == 24
