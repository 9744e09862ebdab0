"""``processor dlq replay``: dead letters through the connector's own pipeline again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import (
    BOUNDS,
    LETTERS,
    LOOK,
    Execute,
    grouped,
    print_report,
    progress_bar,
    say,
)

if TYPE_CHECKING:
    from processor.operations.replays.letters.prepare import Letters
    from processor.operations.replays.letters.replay import LetterReplay


def register(dlq: typer.Typer) -> None:
    """Add the command."""
    dlq.command(
        "replay",
        epilog="Examples: processor dlq replay --code mapping.expression --plan plan.json · "
        "processor dlq replay --plan plan.json --execute · "
        "processor dlq replay --offset capillary.events.dlq:0:17 --execute",
    )(replay_letters)


@grouped(letters=LETTERS, bounds=BOUNDS, look=LOOK)
def replay_letters(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    look: dict[str, Any],
    config: Config = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Write the plan there; with --execute, replay the letters of this plan.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file that --plan names.")
    ] = False,
    resume: Annotated[
        str, typer.Option("--resume", metavar="ID", help="Go on with a replay that did not end.")
    ] = "",
    max_replays: Annotated[
        int, typer.Option("--max-replays", min=1, help="Leave letters replayed so often alone.")
    ] = 5,
    allow_stale: Annotated[
        bool,
        typer.Option(
            "--allow-stale",
            help="Send to targets that hold a state although a later record of the key is there.",
        ),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="N",
            min=0.01,
            help="Messages a second; else a fifth of the connector's.",
        ),
    ] = None,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Send dead letters through the connector's own pipeline again; only what had failed.

    Without --execute it maps and checks each with today's schemas and says what would come of it.
    With it, what fails again goes back to the dead-letter topic; exits with 3 when any did. Letters
    about which something was done are left alone.
    """
    settings = open_settings(config)
    from processor.operations.replays.letters.plan_file import require_new, save
    from processor.operations.replays.letters.prepare import Letters
    from processor.operations.replays.letters.replay import How

    if plan is not None and not execute:
        require_new(plan, force=force)
    choosing = Letters(settings, How(max_replays, allow_stale, rate))
    given = Given(letters, bounds, look)
    replay = _chosen(choosing, given, plan if execute else None, resume)
    for warning in replay.warnings():
        say(warning)
    if execute:
        with progress_bar("Replaying", replay.letters.count) as bar:
            report = asyncio.run(replay.execute(lambda so_far: bar.show(so_far.ended), bar.close))
        print_report(report, as_json=as_json)
    with progress_bar("Rehearsing", replay.letters.count) as bar:
        report, planned = asyncio.run(replay.rehearse(bar.show))
    if plan is not None:
        save(planned, plan, force=force)
        say(f"The plan is in {plan}; add --execute to replay its letters.")
    print_report(report, as_json=as_json)


class Given(NamedTuple):
    """The options that select letters, by group."""

    letters: dict[str, Any]
    bounds: dict[str, Any]
    look: dict[str, Any]


def _chosen(choosing: "Letters", given: Given, plan: Path | None, resume: str) -> "LetterReplay":
    from processor.operations.bounds import BoundOptions
    from processor.operations.letters.meant import OPEN, LookOptions
    from processor.operations.letters.options import LetterOptions

    if plan is None and not resume:
        limits = BoundOptions(**given.bounds).read(datetime.now(UTC))
        return choosing.by_options(
            LookOptions(LetterOptions(**given.letters), limits, **given.look)
        )
    others = [value for group in given for value in group.values() if value != OPEN]
    choosing.require_alone({"--plan": plan, "--resume": resume}, others)
    return choosing.by_plan(plan) if plan is not None else choosing.by_replay(resume)
