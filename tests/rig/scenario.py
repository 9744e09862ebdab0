"""Plays a schedule in a world, lets it drain, and asks the checker."""

import time
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush

from tests.rig.checker import Report, check
from tests.rig.schedule import Item
from tests.rig.world import World

LOOK_S = 0.05
LATE_S = 0.5
CALM_S = 5.0
"""The load goes on so long after the last fault."""

Told = Callable[[float, Sequence[Item]], None]
"""Told now and then how many seconds have passed and which faults are on."""


def play(
    world: World,
    items: Iterable[Item],
    seconds: float,
    *,
    told: Told = lambda _seconds, _on: None,
) -> Report:
    """Run the load and the faults for so many seconds, then be quiet, then judge.

    A fault that takes long to begin or end delays all that follow; the history has the real times.
    """
    assert world.load is not None
    world.launch()
    world.wait_ready()
    world.load.start()
    begin_s = time.monotonic()
    coming = [(item.begin_s, item.fault.number, item) for item in items]
    heapify(coming)
    on: dict[int, Item] = {}
    late_s = 0.0
    try:
        while (at_s := time.monotonic() - begin_s - late_s) < seconds or coming:
            if coming and coming[0][0] <= at_s:
                due_s, number, item = heappop(coming)
                if number in on:
                    del on[number]
                    item.fault.end(world)
                else:
                    on[number] = item
                    heappush(coming, (item.end_s, number, item))
                    item.fault.begin(world)
                # What took long moves all that follows, or it would come at once.
                late_s = max(late_s, time.monotonic() - begin_s - due_s - LATE_S)
            world.watch()
            told(at_s, list(on.values()))
            time.sleep(LOOK_S)
    finally:
        for item in on.values():
            item.fault.end(world)
    world.wait_for(lambda: False, CALM_S)
    return conclude(world)


def conclude(world: World) -> Report:
    """Let everything drain, stop the connectors, and judge what happened."""
    world.quiet()
    return check(world.finish())
