"""``processor dlq replay``: dead letters through the connector's own pipeline again."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import (
    BOUNDS,
    LETTERS,
    Execute,
    grouped,
    print_report,
    progress_bar,
    say,
)


def register(dlq: typer.Typer) -> None:
    """Add the command."""
    dlq.command(
        "replay",
        epilog="Examples: processor dlq replay --code mapping.expression · "
        "processor dlq replay --offset capillary.events.dlq:0:17 --execute",
    )(replay_letters)


@grouped(letters=LETTERS, bounds=BOUNDS)
def replay_letters(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    config: Config = None,
    max_replays: Annotated[
        int, typer.Option("--max-replays", min=1, help="Leave letters replayed so often alone.")
    ] = 5,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Send dead letters through the connector's own pipeline again; only what had failed.

    Without --execute it maps and checks each with today's schemas and says what would come of it.
    With it, what fails again goes back to the dead-letter topic; exits with 3 when any did.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions
    from processor.operations.letters_options import LetterOptions
    from processor.operations.letters_replay import prepare

    limits = BoundOptions(**bounds).read(datetime.now(UTC))
    replay = prepare(settings, LetterOptions(**letters), limits, max_replays=max_replays)
    for warning in replay.warnings():
        say(warning)
    chosen = replay.choice.letters.count
    if execute:
        with progress_bar("Replaying", chosen) as bar:
            report = asyncio.run(replay.execute(lambda so_far: bar.show(so_far.ended), bar.close))
    else:
        with progress_bar("Rehearsing", chosen) as bar:
            report = asyncio.run(replay.rehearse(bar.show))
    print_report(report, as_json=as_json)
