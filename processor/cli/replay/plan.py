"""``processor replay plan``: what would come of a range."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from processor.cli.app import Config, Json
from processor.cli.options import BOUNDS, grouped, print_report, progress_bar, say
from processor.cli.replay.options import MANNER, RANGE, range_options, read_manner, select


def register(replay: typer.Typer) -> None:
    """Add the command."""
    replay.command(
        "plan",
        epilog="Examples: processor replay plan --topic capillary.events --by-duration PT6H · "
        "processor replay plan --topic capillary.events:0 --from-offset 1000 --to-offset 2000 "
        "--where eventName=pointsIssued --plan points.json",
    )(plan_range)


@grouped(chosen=RANGE, bounds=BOUNDS, manner=MANNER)
def plan_range(
    *,
    chosen: dict[str, Any],
    bounds: dict[str, Any],
    manner: dict[str, Any],
    config: Config = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Write the plan here, for `replay run --plan FILE --execute`.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a FILE that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Say what would come of a range: each record decoded, mapped and checked, and nothing sent.

    First what is stale: records that a target which holds a state does not get, because a later
    record of their key lies outside the range. Then how many messages of which event would go to
    which target, what would fail and why, what would be left out, and how long it takes.
    """
    settings, how = read_manner(config, manner)
    from processor.operations.bounds import BoundOptions
    from processor.operations.replays.ranges.prepare import by_options

    limits, now = BoundOptions(**bounds), datetime.now(UTC)
    replay = select(by_options(settings, range_options(chosen), limits, how, now=now))
    for warning in replay.warnings(execute=False):
        say(warning)
    if plan is not None:
        replay.save(plan, force=force)
    with progress_bar("Rehearsing", replay.pinned.records.count) as bar:
        report = asyncio.run(replay.foresee(bar.show))
    if plan is not None:
        say(f"The plan is in {plan}; `processor replay run --plan {plan} --execute` does it.")
    print_report(report, as_json=as_json)
