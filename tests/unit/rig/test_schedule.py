"""The schedule is the seed's, and what it draws fits together."""

import pytest

from tests.rig.faults import CATALOGUE, NEED_REGISTRY, make
from tests.rig.schedule import MOST_AT_ONCE, compose

EFFECTS = {"crash", "freeze", "answers", "kafka", "outage", "refusing", "tokens", "clean"}


def test_a_seed_is_a_schedule() -> None:
    first, again, other = compose(7, 300), compose(7, 300), compose(8, 300)

    assert list(map(str, first)) == list(map(str, again))
    assert first == again
    assert list(map(str, first)) != list(map(str, other))


@pytest.mark.parametrize("seed", range(20))
def test_faults_overlap_but_never_on_one_resource(seed: int) -> None:
    items = compose(seed, 120)

    assert len(items) > 10
    assert max(item.end_s for item in items) < 120
    for item in items:
        on = [one for one in items if one.begin_s <= item.begin_s < one.end_s]
        assert len(on) <= MOST_AT_ONCE
        assert len({one.fault.resource for one in on}) == len(on)
    assert any(one.begin_s < item.begin_s < one.end_s for one in items for item in items)


def test_every_fault_is_drawn_some_day() -> None:
    kinds = {item.fault.kind for seed in range(60) for item in compose(seed, 300)}

    assert kinds == set(CATALOGUE)


def test_without_a_registry_none_of_its_faults_is_drawn() -> None:
    kinds = {
        item.fault.kind for seed in range(20) for item in compose(seed, 300, with_registry=False)
    }

    assert kinds
    assert not kinds & NEED_REGISTRY


def test_only_the_chosen_kinds_are_drawn() -> None:
    items = compose(1, 100, kinds=["join", "aep 503"])

    assert {item.fault.kind for item in items} == {"join", "aep 503"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_fault_has_its_name_and_known_effects(name: str) -> None:
    fault = make(name, 3, 1)

    assert (fault.kind, fault.number) == (name, 3)
    assert fault.effects
    assert set(fault.effects) <= EFFECTS
