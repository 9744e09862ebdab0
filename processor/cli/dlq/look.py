"""``processor dlq list|show``: look at dead letters."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import (
    BOUNDS,
    LETTERS,
    Reveal,
    grouped,
    say,
)
from processor.cli.output import console, json_line, safe

if TYPE_CHECKING:
    from processor.operations.letters import Found

ROWS_AT_ONCE = 500
"""A table is measured as a whole, so a long list is several tables."""

PLAIN = (
    "timestamp",
    "topic",
    "partition",
    "offset",
    "source_topic",
    "source_partition",
    "source_offset",
    "event_name",
    "code",
    "targets",
    "replay_count",
    "fingerprint",
    "key",
    "message",
)
"""Fields of a line when stdout is no terminal, separated by tabs."""


def register(dlq: typer.Typer) -> None:
    """Add the commands."""
    dlq.command(
        "list",
        epilog="Examples: processor dlq list --code gate.violation --by-duration P1D · "
        "processor dlq list --event pointsIssued --limit 0 --json",
    )(list_letters)
    dlq.command("show", epilog="Example: processor dlq show capillary.events.dlq 0 17")(show_letter)


@grouped(letters=LETTERS, bounds=BOUNDS)
def list_letters(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    config: Config = None,
    after: Annotated[
        str,
        typer.Option(
            "--after",
            metavar="TOPIC:P:OFFSET,…",
            help="Go on after these; a page that is not the last says which.",
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many; 0 shows all.")] = 50,
    reveal: Reveal = False,
    as_json: Json = False,
) -> None:
    """List dead letters, the oldest first, over all partitions in the order of time.

    Keys are shown by length and hash unless --reveal.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions, position
    from processor.operations.letters import Page, find, left_after, page
    from processor.operations.letters_options import LetterOptions, locate
    from processor.operations.reading import Reader

    limits = BoundOptions(**bounds).read(datetime.now(UTC))
    seen = [position("--after", text) for text in after.split(",") if text]
    reader = Reader(settings)
    criteria, where = locate(reader, settings, LetterOptions(**letters), limits)
    spans = left_after(where.spans, seen)
    shown = page(reader, spans, criteria, limit=limit) if limit else Page((), ())
    found = shown.letters if limit else find(reader, spans, criteria)
    count = _print_letters(found, reveal=reveal, as_json=as_json)
    say({0: "No dead letter matches.", 1: "1 dead letter."}.get(count, f"{count} dead letters."))
    if shown.after:
        say(f"More follow: add --after {','.join(f'{t}:{p}:{o}' for t, p, o in shown.after)}")


def show_letter(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The dead-letter topic.")],
    partition: Annotated[str, typer.Argument(metavar="PARTITION")],
    offset: Annotated[str, typer.Argument(metavar="OFFSET")],
    *,
    config: Config = None,
    all_connectors: Annotated[
        bool, typer.Option("--all-connectors", help="Another connector's too.")
    ] = False,
    dump: Annotated[
        int, typer.Option("--bytes", min=0, help="With --reveal: bytes of the value to dump.")
    ] = 256,
    reveal: Reveal = False,
    as_json: Json = False,
) -> None:
    """Show one dead letter: its story, its headers, the event, and the mapping today.

    Customers' values are masked unless --reveal; of what cannot be decoded, size and hash remain.
    """
    settings = open_settings(config)
    from processor.operations.bounds import position
    from processor.operations.letters_text import lines
    from processor.operations.letters_view import look

    place = position("TOPIC PARTITION OFFSET", f"{topic}:{partition}:{offset}")
    shown = asyncio.run(look(settings, place, all_connectors=all_connectors, reveal=reveal))
    if as_json:
        json_line(shown.document())
        return
    out = console()
    for line in lines(shown, dump_bytes=dump):
        out.print(safe(line.text, line.style))


def _print_letters(letters: "Iterable[Found]", *, reveal: bool, as_json: bool) -> int:
    """Print letters as they come, and say how many there were."""
    from processor.operations.letters_view import fields_of
    from processor.operations.masking import log_reveal

    rows, count = iter(letters), 0
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        if reveal:
            for found in chunk:
                log_reveal(found.position)
        fields = [fields_of(found, reveal=reveal) for found in chunk]
        if as_json:
            for row in fields:
                json_line(row)
        else:
            _print_table(fields, first=not count)
        count += len(chunk)
    return count


def _print_table(rows: list[dict[str, Any]], *, first: bool) -> None:
    out = console()
    if not out.is_terminal:
        if first:
            typer.echo("\t".join(name.upper() for name in PLAIN))
        for row in rows:
            typer.echo("\t".join(safe(_cell(row[name])).plain for name in PLAIN))
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Dead letter", no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=1)
    for row in rows:
        again = f", replayed {row['replay_count']}x" if row["replay_count"] else ""
        place = f"{row['topic']} {row['partition']} {row['offset']}"
        what = " · ".join(_cell(row[n]) for n in ("event_name", "code", "targets") if row[n])
        story = f"fingerprint {row['fingerprint']} · key {_cell(row['key'])}"
        table.add_row(
            _two(place, _cell(row["timestamp"])),
            Text("\n").join([safe(f"{what}{again}"), safe(row["message"]), safe(story, "dim")]),
        )
    out.print(table)


def _two(first: str, second: str) -> Text:
    return Text("\n").join([safe(first), safe(second, "dim")])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return ",".join(value) if isinstance(value, list) else str(value)
