"""``processor replay run``: a range of a source topic once more."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.app import Config, Json
from processor.cli.options import BOUNDS, Execute, grouped, print_report, progress_bar, say
from processor.cli.replay.options import MANNER, RANGE, range_options, read_manner, select

if TYPE_CHECKING:
    from processor.operations.replays.ranges.replay import RangeReplay

BESIDE = frozenset({"rate", "override"})
"""What may stand beside a plan or an id: all else is theirs."""


def register(replay: typer.Typer) -> None:
    """Add the command."""
    replay.command(
        "run",
        epilog="Examples: processor replay run --topic capillary.events --by-duration PT6H · "
        "processor replay run --topic capillary.events:0,1 --from-offset 1000 --to-offset 2000 "
        "--where eventName=pointsIssued --execute · "
        "processor replay run --plan points.json --execute · "
        "processor replay run --resume 20260131t120000-9f3a --execute",
    )(run_range)


@grouped(chosen=RANGE, bounds=BOUNDS, manner=MANNER)
def run_range(
    *,
    chosen: dict[str, Any],
    bounds: dict[str, Any],
    manner: dict[str, Any],
    config: Config = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="The records of this plan, in its manner."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="ID", help="Go on with this replay, where it ended."),
    ] = None,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Send a range of a source topic through the connector's own pipeline once more.

    Without --execute it says which records they are. The end is pinned at the start, the offsets
    are kept in the group GROUP-replay-ID, and those of the connector are not touched. What
    Experience Platform has already is not corrected, only gaps are filled. A target that holds a
    state gets no record of which the topic holds a later one of the same key outside the range,
    unless --allow-stale. Exits with 3 when a record failed, or was stale.
    """
    from processor.operations.replays.ranges.prepare import require_alone

    require_alone(
        {"--plan": plan, "--resume": resume},
        {**chosen, **bounds, **{n: v for n, v in manner.items() if n not in BESIDE}},
    )
    replay = _replay(chosen, bounds, manner, config, plan=plan, resume=resume)
    for warning in replay.warnings(execute=execute):
        say(warning)
    if not execute:
        print_report(replay.describe(), as_json=as_json)
    with progress_bar("Replaying", replay.pinned.records.count) as bar:
        report = asyncio.run(
            replay.execute(lambda so_far: bar.show(so_far.before + so_far.ended), bar.close)
        )
    print_report(report, as_json=as_json)


def _replay(
    chosen: dict[str, Any],
    bounds: dict[str, Any],
    manner: dict[str, Any],
    config: Path | None,
    *,
    plan: Path | None,
    resume: str | None,
) -> "RangeReplay":
    settings, how = read_manner(config, manner)
    from processor.operations.bounds import BoundOptions
    from processor.operations.replays.ranges.prepare import by_id, by_options, by_plan

    if plan is not None:
        return by_plan(settings, plan, how)
    if resume is not None:
        return by_id(settings, resume, how, waiting=say)
    limits, now = BoundOptions(**bounds), datetime.now(UTC)
    return select(by_options(settings, range_options(chosen), limits, how, now=now))
