"""Plays a schedule in a world, lets it drain, and asks the checker."""

import time
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from tests.rig.checker import Report, check
from tests.rig.schedule import Item
from tests.rig.world import World

LOOK_S = 0.05
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

    A fault that takes time to begin or end delays those after it; the history has the real times.
    """
    assert world.load is not None
    world.launch()
    world.wait_ready()
    world.load.start()
    begin_s = time.monotonic()
    coming = sorted(items, key=lambda item: item.begin_s)
    ending: list[tuple[float, int, Item]] = []
    try:
        while (at_s := time.monotonic() - begin_s) < seconds or coming or ending:
            while ending and ending[0][0] <= at_s:
                _, _, item = heappop(ending)
                item.fault.end(world)
            while coming and coming[0].begin_s <= at_s:
                item = coming.pop(0)
                item.fault.begin(world)
                heappush(ending, (item.end_s, item.fault.number, item))
            world.watch()
            told(at_s, [item for _, _, item in ending])
            time.sleep(LOOK_S)
    finally:
        for _, _, item in ending:
            item.fault.end(world)
    world.wait_for(lambda: False, CALM_S)
    return conclude(world)


def conclude(world: World) -> Report:
    """Let everything drain, stop the connectors, and judge what happened."""
    world.quiet()
    return check(world.finish())
