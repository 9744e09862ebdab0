"""``processor trace``: one record's whole story on one screen."""

import asyncio
from typing import Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import Reveal, progress_bar
from processor.cli.output import console, json_line, safe


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Examples: processor trace capillary.events 0 4711 · "
        "processor trace capillary.events.dlq 0 17 --json",
    )(trace)


def trace(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="Source topic, or a dead-letter topic of ours.")
    ],
    partition: Annotated[str, typer.Argument(metavar="PARTITION")],
    offset: Annotated[str, typer.Argument(metavar="OFFSET")],
    *,
    config: Config = None,
    dump: Annotated[
        int, typer.Option("--bytes", min=0, help="With --reveal: bytes of the value to dump.")
    ] = 256,
    reveal: Reveal = False,
    as_json: Json = False,
) -> None:
    """One record's whole story: bytes, schema, event, mapping, what became of it, dead letters.

    Reads Kafka and the schema registry; nothing is sent or committed. Of a dead letter it tells the
    story of the record that the letter is about. Customers' values are masked unless --reveal. It
    gives no verdict: exits with 0 also when the record is gone.
    """
    settings = open_settings(config)
    from processor.operations.bounds import position
    from processor.operations.tracing.text import lines
    from processor.operations.tracing.trace import prepare

    tracing = prepare(settings, position("TOPIC PARTITION OFFSET", f"{topic}:{partition}:{offset}"))
    while count := tracing.search.offsets:
        with progress_bar("Searching dead letters", count) as bar:
            tracing.search.look(bar.show)
    told = asyncio.run(tracing.tell(reveal=reveal))
    if as_json:
        json_line(told.document())
        return
    out = console()
    for line in lines(told, dump_bytes=dump):
        out.print(safe(line.text, line.style))
