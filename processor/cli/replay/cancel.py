"""``processor replay cancel``: end a replay for good."""

from typing import Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import Execute, print_report, say


def register(replay: typer.Typer) -> None:
    """Add the command."""
    replay.command(
        "cancel", epilog="Example: processor replay cancel 20260131t130000-07be --execute"
    )(cancel_replay)


def cancel_replay(
    replay_id: Annotated[str, typer.Argument(metavar="ID", help="As `replay list` shows it.")],
    *,
    config: Config = None,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """End a replay for good, wherever it runs.

    Its process hears of it within seconds, lets what is on its way end, commits that and ends; a
    replay that no process runs is marked. It cannot be gone on with afterwards.
    """
    settings = open_settings(config)
    from processor.operations.replays.look import cancel

    print_report(cancel(settings, replay_id, execute=execute, waiting=say), as_json=as_json)
