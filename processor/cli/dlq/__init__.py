"""``processor dlq``: look at dead letters, and replay them; one file for what is done with them."""

import typer

from processor.cli.dlq import discard, export, look, purge, replay, stats


def register(app: typer.Typer) -> None:
    """Add the commands."""
    dlq = typer.Typer(
        name="dlq", help="Dead letters: look at them, replay or discard them.", no_args_is_help=True
    )
    for group in (stats, look, export, replay, discard, purge):
        group.register(dlq)
    app.add_typer(dlq)
