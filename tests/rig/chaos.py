"""Composes faults at random by a seed, then is quiet, then judges: ``make chaos``.

    python -m tests.rig.chaos --seconds 120 --seed 7

The schedule is a pure function of the seed and is printed, so a failing run can be made again;
what happens in detail depends on the machine too. Exit status: 0 every invariant holds, 1 not.
"""

import argparse
import contextlib
import json
import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from processor.local import broker as brokers
from processor.local import registry as registries
from processor.local.registry import Registry
from tests.rig.checker import Report
from tests.rig.parts import Parts, Plan
from tests.rig.scenario import play
from tests.rig.schedule import Item, compose
from tests.rig.world import World

NEEDED = frozenset(
    f"I{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 15, 16, 18, 19, 20, 21, 24)
)
"""What every run of some length observes; the others depend on what the seed draws."""

console = Console(stderr=True, highlight=False)


@contextlib.contextmanager
def own_parts(directory: Path, *, with_registry: bool = True) -> Iterator[Parts]:
    """A broker and a registry for one run."""
    files = brokers.install(progress=console.print)
    with contextlib.ExitStack() as running:
        registry = None
        if with_registry:
            registry_files = registries.install(progress=console.print)
            registry = running.enter_context(Registry(registry_files, directory / "registry"))
        yield running.enter_context(Parts(directory, files, registry))


def name_of(what: str) -> str:
    """A name that nothing in the broker has yet."""
    return f"{what}-{secrets.token_hex(4)}"


def fresh_secrets() -> tuple[str, str]:
    """Two secrets that nobody may print, with the characters that URLs escape."""
    return (f"rig-now+{secrets.token_hex(8)}/=%&", f"rig-next+{secrets.token_hex(8)}/=%&")


@contextlib.contextmanager
def bar(total: float, what: str) -> Iterator[Progress]:
    """A progress bar on a terminal, and nothing elsewhere."""
    columns = (
        TextColumn(what),
        BarColumn(bar_width=30),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        progress.add_task("", total=total)
        yield progress


def run(parts: Parts, directory: Path, plan: Plan, items: Sequence[Item], seconds: float) -> Report:
    """One run in a world of its own."""
    world = World(parts, directory, plan, name=name_of("chaos"), secrets=fresh_secrets())
    with bar(seconds, "chaos") as progress, world:

        def told(at_s: float, on: Sequence[Item]) -> None:
            text = ", ".join(item.fault.kind for item in on)
            for task in progress.task_ids:
                progress.update(task, completed=at_s, description=text)

        return play(world, items, seconds, told=told)


def tell(report: Report, items: Sequence[Item], seed: int, file: Path | None) -> None:
    """Print the verdicts, and write them where asked."""
    sys.stdout.write(f"{report}\n")
    if file is not None:
        document = {
            "seed": seed,
            "schedule": [str(item) for item in items],
            "passed": not report.broken,
            "sums": asdict(report.sums),
            "verdicts": [asdict(verdict) for verdict in report.verdicts],
        }
        file.write_text(json.dumps(document, indent=2) + "\n")


def keep(directory: str | None) -> contextlib.AbstractContextManager[str]:
    """The directory of a run's files: the one that was asked for, or one that goes afterwards."""
    if directory is None:
        return tempfile.TemporaryDirectory(prefix="processor-rig-")
    Path(directory).mkdir(parents=True, exist_ok=True)
    return contextlib.nullcontext(directory)


def options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", default=120.0, type=float, help="with faults; then it drains")
    parser.add_argument("--seed", default=1, type=int, help="of the schedule and the load")
    parser.add_argument("--rate", default=150.0, type=float, help="records a second")
    parser.add_argument("--instances", default=2, type=int, help="connectors that always run")
    parser.add_argument("--tasks", default=1, type=int, help="of each connector")
    parser.add_argument("--faults", nargs="+", metavar="NAME", help="only these kinds of fault")
    parser.add_argument("--without-registry", action="store_true", help="the load is JSON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the verdicts there")
    parser.add_argument("--keep", metavar="DIRECTORY", help="leave history and logs there")
    parser.add_argument("--plan", action="store_true", help="only print the schedule")
    return parser.parse_args()


def main() -> int:
    """Run, print the verdict, and give the exit status."""
    chosen = options()
    with_registry = not chosen.without_registry
    items = compose(
        chosen.seed,
        chosen.seconds,
        instances=chosen.instances,
        with_registry=with_registry,
        kinds=chosen.faults,
    )
    sys.stdout.write(f"seed {chosen.seed}, {chosen.seconds:g} s\n")
    sys.stdout.writelines(f"{item}\n" for item in items)
    sys.stdout.flush()
    if chosen.plan:
        return 0
    plan = Plan(seed=chosen.seed, rate=chosen.rate, instances=chosen.instances, tasks=chosen.tasks)
    with keep(chosen.keep) as directory:
        place = Path(directory)
        with own_parts(place, with_registry=with_registry) as parts:
            report = run(parts, place / "world", plan, items, chosen.seconds)
        tell(report, items, chosen.seed, chosen.json)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
