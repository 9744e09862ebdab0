"""``processor schemas``: the schemas folder; one file for each thing that is done with it."""

import typer

from processor.cli.schemas import exchange, look, prove


def register(app: typer.Typer) -> None:
    """Add the commands."""
    schemas = typer.Typer(
        name="schemas",
        help="Avro schemas, mapping sets and XDM schemas: look at them, and prove them.",
        no_args_is_help=True,
    )
    for group in (look, prove, exchange):
        group.register(schemas)
    app.add_typer(schemas)
