"""``processor replay``: ranges of source topics once more; a file for each thing that is done."""

import typer

from processor.cli.replay import cancel, look, plan, run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    replay = typer.Typer(
        name="replay",
        help="Replay of source topics, in a group of its own; the connector's offsets stay.",
        no_args_is_help=True,
    )
    for group in (plan, run, look, cancel):
        group.register(replay)
    app.add_typer(replay)
