"""Faults in real parts, several at once, and one checker for all that happened.

The longer modes are ``make chaos`` and ``make kills``; these are the same code with fixed seeds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.local.broker import BrokerFiles
from processor.local.registry import Registry
from tests.rig.chaos import NEEDED
from tests.rig.checker import Report
from tests.rig.kills import (
    NEEDED_OF_CLEAN,
    NEEDED_OF_KILLS,
    kill,
    plan_of_clean,
    plan_of_kills,
    stop_and_rebalance,
)
from tests.rig.parts import Parts, Plan
from tests.rig.scenario import play
from tests.rig.schedule import compose
from tests.rig.world import World

SEED = 11
SECONDS = 55.0
KILLS, STOPS, REBALANCES = 15, 3, 3

MakeWorld = Callable[[Plan], World]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def parts(
    broker_files: BrokerFiles, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    """A broker that may be killed, and proxies in front of it and of the shared registry."""
    with Parts(tmp_path_factory.mktemp("rig"), broker_files, registry) as running:
        yield running


@pytest.fixture
def world(
    parts: Parts, tmp_path: Path, canary: Any, client_secret: str, fresh_name: Callable[[str], str]
) -> MakeWorld:
    """``world(plan)``: a world of the test's own; no output may hold its secrets."""

    def make(plan: Plan) -> World:
        secrets = (client_secret, canary.watch_for(f"{client_secret}next"))
        return World(parts, tmp_path / "world", plan, name=fresh_name("rig"), secrets=secrets)

    return make


def held(report: Report, needed: frozenset[str]) -> bool:
    """Whether every invariant holds and the needed ones were observed; says all it found."""
    print(report)  # noqa: T201 - lost, repeated, dead-lettered, expected: for the report
    assert [str(verdict) for verdict in report.broken] == []
    assert report.unobserved(needed) == []
    return True


def test_overlapping_faults_lose_nothing_and_break_no_invariant(world: MakeWorld) -> None:
    items = compose(SEED, SECONDS)
    kinds = {item.fault.kind for item in items}
    effects = {effect for item in items for effect in item.fault.effects}
    assert "connector kill" in kinds
    assert {"crash", "kafka", "outage", "tokens"} <= effects

    with world(Plan(seed=SEED, instances=2)) as running:
        report = play(running, items, SECONDS)

    assert held(report, NEEDED)
    assert (report.sums.lost, report.sums.repeated_unexplained) == (0, 0)
    assert report.sums.dead_lettered == report.sums.bad > 0


def test_kills_at_random_moments_lose_nothing_and_repeat_what_was_in_flight(
    world: MakeWorld,
) -> None:
    with world(plan_of_kills(SEED)) as running:
        report = kill(running, KILLS)

    assert held(report, NEEDED_OF_KILLS)
    assert (report.sums.lost, report.sums.repeated_unexplained) == (0, 0)
    assert report.sums.dead_lettered == report.sums.bad > 0


def test_clean_stops_and_rebalances_lose_and_repeat_nothing(world: MakeWorld) -> None:
    with world(plan_of_clean(SEED)) as running:
        report = stop_and_rebalance(running, STOPS, REBALANCES)

    assert held(report, NEEDED_OF_CLEAN)
    assert report.sums.lost == report.sums.repeated_explained == 0
    assert report.sums.repeated_unexplained == 0
    assert report.sums.dead_lettered == report.sums.bad > 0
