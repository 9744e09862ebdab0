"""``processor run``: the connector itself."""

from functools import partial

import typer

from processor.cli.app import Config, open_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: processor run --config processor.toml")(run)


def run(config: Config = None) -> None:
    """Run the connector until SIGTERM or SIGINT.

    On a signal it stops taking records, lets open requests end, commits and exits with 0; with 1
    when the drain deadline passed, with 130 at a second signal.
    """
    settings = open_settings(config)
    from processor.admin.server import AdminServer
    from processor.connector import supervisor

    raise typer.Exit(supervisor.run(settings, partial(AdminServer, settings)))
