"""``processor dlq purge``: old dead letters out of Kafka."""

from typing import Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import Execute, print_report


def register(dlq: typer.Typer) -> None:
    """Add the command."""
    dlq.command(
        "purge",
        epilog="Example: processor dlq purge --topic capillary.events.dlq "
        "--before 2026-01-31T12:00:00Z --execute",
    )(purge_letters)


def purge_letters(
    *,
    topic: Annotated[
        str,
        typer.Option(
            "--topic", metavar="TOPIC[:P,…]", help="Dead-letter topic, or the source topic of one."
        ),
    ],
    before: Annotated[
        str,
        typer.Option(
            "--before", metavar="TIME", help="Written before this: ISO 8601, UTC unless it says."
        ),
    ],
    config: Config = None,
    open_too: Annotated[
        bool, typer.Option("--open-too", help="Also those about which nothing was done.")
    ] = False,
    all_connectors: Annotated[
        bool, typer.Option("--all-connectors", help="Also those of other connectors.")
    ] = False,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Remove old dead letters from Kafka, for good.

    Kafka removes from the beginning of a partition only. Without --execute it says how many letters
    would go, and which of them are open; these go only with --open-too.
    """
    settings = open_settings(config)
    from processor.operations.replays.letters.purge import prepare

    purge = prepare(settings, topic, before)
    if execute:
        print_report(
            purge.execute(open_too=open_too, all_connectors=all_connectors), as_json=as_json
        )
    print_report(purge.describe(), as_json=as_json)
