"""Kills, clean stops and rebalances at random moments under load: ``make kills``.

    python -m tests.rig.kills --kills 200 --stops 20 --rebalances 20

Kills have a world of their own: what was in flight may come again. Stops and rebalances share a
world where nothing may. Exit status: 0 every invariant holds and was observed, 1 not.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import httpx

from tests.rig.chaos import bar, fresh_secrets, keep, name_of, own_parts
from tests.rig.checker import Report
from tests.rig.faults import ConnectorFault, Join
from tests.rig.instance import Instance
from tests.rig.parts import Plan
from tests.rig.scenario import conclude
from tests.rig.world import START_S, World

NEEDED = frozenset(
    f"I{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 15, 16, 18, 19, 20, 21)
)
NEEDED_OF_KILLS = NEEDED | {"I10"}
NEEDED_OF_CLEAN = NEEDED | {"I7", "I23", "I24"}
MOMENT_S = 1.5
"""An instance works up to so long before the next thing happens to it."""

KILL_SESSION_MS = 3_000
Told = Callable[[int], None]


def plan_of_kills(seed: int) -> Plan:
    """One connector; its session ends soon, so that the next one need not wait long."""
    return Plan(seed=seed, session_ms=KILL_SESSION_MS)


def plan_of_clean(seed: int) -> Plan:
    """One connector and its spare; part of the load is in transactions, so there are gaps.

    No message gets 500: while it has no verdict, a stop could run out of time.
    """
    return Plan(seed=seed, gaps=True, poison=False, session_ms=30_000)


def kill(world: World, kills: int, told: Told = lambda _done: None) -> Report:
    """So many ``kill -9``, each at a random moment of a connector that works."""
    chance = random.Random(world.plan.seed)
    _begin(world)
    for number in range(1, kills + 1):
        _work(world, world.steady[0], chance)
        fault = ConnectorFault(number, "connector kill", ("crash",), "connector-0", 0, "kill")
        fault.begin(world)
        fault.end(world)
        told(number)
    return conclude(world)


def stop_and_rebalance(
    world: World, stops: int, rebalances: int, told: Told = lambda _done: None
) -> Report:
    """So many clean stops, then so many members that come and go."""
    chance = random.Random(world.plan.seed)
    _begin(world)
    for number in range(1, stops + 1):
        _work(world, world.steady[0], chance)
        stop = ConnectorFault(number, "connector term", ("clean",), "connector-0", 0, "term")
        stop.begin(world)
        stop.end(world)
        told(number)
    for number in range(stops + 1, stops + rebalances + 1):
        _work(world, world.steady[0], chance)
        join = Join(number, "join", ("clean",), "spare")
        join.begin(world)
        _work(world, world.spare, chance)
        join.end(world)
        told(number)
    _work(world, world.steady[0], chance)
    return conclude(world)


def _begin(world: World) -> None:
    assert world.load is not None
    world.launch()
    world.wait_ready()
    world.load.start()


def _work(world: World, instance: Instance, chance: random.Random) -> None:
    """Wait until it delivers, and a random moment longer."""
    world.wait_for(lambda: _delivers(instance), START_S, what=f"{instance.life} delivers")
    world.wait_for(lambda: False, chance.uniform(0.0, MOMENT_S))


def _delivers(instance: Instance) -> bool:
    try:
        return instance.program.metric("processor_records_delivered_total") > 0
    except httpx.HTTPError:
        return False


def options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", default=0, type=int, help="kill -9 at random moments")
    parser.add_argument("--stops", default=0, type=int, help="SIGTERM at random moments")
    parser.add_argument("--rebalances", default=0, type=int, help="members that come and go")
    parser.add_argument("--seed", default=1, type=int, help="of the moments and the load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the verdicts there")
    parser.add_argument("--keep", metavar="DIRECTORY", help="leave history and logs there")
    return parser.parse_args()


def _told(what: str, total: int, run: Callable[[Told], Report]) -> Report:
    with bar(total, what) as progress:

        def told(done: int) -> None:
            for task in progress.task_ids:
                progress.update(task, completed=done)

        return run(told)


def main() -> int:
    """Run what was asked for, print the verdicts, and give the exit status."""
    chosen = options()
    clean = chosen.stops + chosen.rebalances
    found: dict[str, tuple[Report, frozenset[str]]] = {}
    with keep(chosen.keep) as directory, own_parts(Path(directory)) as parts:

        def world(name: str, plan: Plan) -> World:
            place = Path(directory) / name
            return World(parts, place, plan, name=name_of(name), secrets=fresh_secrets())

        if chosen.kills:
            with world("kills", plan_of_kills(chosen.seed)) as running:
                report = _told(
                    "kills", chosen.kills, lambda tell: kill(running, chosen.kills, tell)
                )
            found["kills"] = report, NEEDED_OF_KILLS
        if clean:
            with world("clean", plan_of_clean(chosen.seed)) as running:
                report = _told(
                    "clean stops and rebalances",
                    clean,
                    lambda tell: stop_and_rebalance(running, chosen.stops, chosen.rebalances, tell),
                )
            found["clean"] = report, NEEDED_OF_CLEAN
    for name, (report, needed) in found.items():
        sys.stdout.write(f"{name}, seed {chosen.seed}\n{report}\n")
        if missing := report.unobserved(needed):
            sys.stdout.write(f"Not observed, though it has to be: {', '.join(missing)}\n")
    if chosen.json:
        document = {
            name: {"sums": asdict(report.sums), "verdicts": [asdict(v) for v in report.verdicts]}
            for name, (report, _) in found.items()
        }
        chosen.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if all(report.passed(needed) for report, needed in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
