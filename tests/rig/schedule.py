"""Which faults come when: a pure function of the seed, so that a failing one can be run again."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.rig.faults import CATALOGUE, NEED_REGISTRY, Fault, make

FIRST_S = 3.0
GAP_S = 1.5
"""Faults begin so long after each other, on average."""

MOST_AT_ONCE = 3
SPARE_S = 1.0
"""A resource rests so long between two faults of its own."""

LENGTHS_S = {
    "connector kill": (0.2, 3.0),
    "connector term": (0.5, 3.0),
    "connector freeze": (2.0, 12.0),
    "join": (5.0, 12.0),
    "broker kill": (1.0, 6.0),
    "broker term": (1.0, 6.0),
    "broker freeze": (2.0, 10.0),
    "tokens expire": (0.1, 0.2),
}
LENGTH_S = (2.0, 8.0)
"""Of any other fault."""

WEIGHTS = {
    "connector kill": 5.0,
    "connector term": 3.0,
    "connector freeze": 2.5,
    "join": 4.0,
    "aep link": 6.0,
    "kafka link": 6.0,
    "ims link": 1.5,
    "registry link": 2.0,
    "aep list": 4.0,
    "aep": 8.0,
    "ims": 2.0,
    "broker": 4.0,
    "tokens": 1.0,
    "secret": 2.0,
}
"""Of a kind, or of all kinds together whose names begin so, the first of these that fits."""


@dataclass(frozen=True, slots=True)
class Item:
    """A fault, and when it begins and ends, in seconds after the begin of the run."""

    fault: Fault
    begin_s: float
    end_s: float

    def __str__(self) -> str:
        what = f"{self.fault.kind} ({self.fault.resource})"
        return f"{self.begin_s:6.1f} s to {self.end_s:6.1f} s  {what}"


def compose(
    seed: int,
    seconds: float,
    *,
    instances: int = 2,
    with_registry: bool = True,
    kinds: Iterable[str] | None = None,
) -> list[Item]:
    """A schedule of overlapping faults that have all ended after so many seconds."""
    chance = random.Random(seed)
    names = sorted(set(CATALOGUE if kinds is None else kinds))
    if not with_registry:
        names = [name for name in names if name not in NEED_REGISTRY]
    weights = _weights(names)
    items: list[Item] = []
    at_s = FIRST_S
    while at_s < seconds:
        (name,) = chance.choices(names, weights)
        length_s = chance.uniform(*LENGTHS_S.get(name, LENGTH_S))
        fault = make(name, len(items) + 1, chance.randrange(instances))
        item = Item(fault, round(at_s, 2), round(at_s + length_s, 2))
        if item.end_s < seconds and _fits(item, items):
            items.append(item)
        at_s += chance.expovariate(1 / GAP_S)
    return items


def _weights(names: Sequence[str]) -> list[float]:
    families = [next(start for start in WEIGHTS if name.startswith(start)) for name in names]
    return [WEIGHTS[family] / families.count(family) for family in families]


def _fits(item: Item, items: Sequence[Item]) -> bool:
    on = [one for one in items if one.end_s + SPARE_S > item.begin_s]
    return len(on) < MOST_AT_ONCE and all(one.fault.resource != item.fault.resource for one in on)
