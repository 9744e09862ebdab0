"""``processor dlq discard``: nothing more is to be done about these."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import (
    BOUNDS,
    LETTERS,
    SELECT,
    Execute,
    grouped,
    print_report,
    progress_bar,
)


def register(dlq: typer.Typer) -> None:
    """Add the command."""
    dlq.command(
        "discard",
        epilog="Example: processor dlq discard --event pointsIssued --code decode.truncated "
        '--reason "test data of the migration" --execute',
    )(discard_letters)


@grouped(letters=LETTERS, bounds=BOUNDS)
def discard_letters(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; whoever looks later reads it.")
    ],
    config: Config = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Of the decoded event, such as data.totalPoints=7.",
            rich_help_panel=SELECT,
        ),
    ] = None,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Say of open dead letters that nothing more is to be done about them.

    They stay in Kafka, and are no longer listed or replayed unless one asks for them. Exits with 3
    when somebody replays some of them now; those are left alone.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions
    from processor.operations.letters.meant import LookOptions
    from processor.operations.letters.options import LetterOptions
    from processor.operations.replays.letters.discard import prepare

    limits = BoundOptions(**bounds).read(datetime.now(UTC))
    with progress_bar("Looking", None) as bar:
        wanted = LookOptions(LetterOptions(**letters), limits, where or ())
        discard = prepare(settings, wanted, reason=reason, looked_at=bar.show)
    print_report(discard.execute() if execute else discard.describe(), as_json=as_json)
