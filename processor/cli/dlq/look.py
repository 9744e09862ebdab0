"""``processor dlq list|show``: look at dead letters."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import (
    BOUNDS,
    LETTERS,
    LOOK,
    Reveal,
    grouped,
    say,
)
from processor.cli.output import console, json_line, safe, tab_line

if TYPE_CHECKING:
    from processor.operations.letters.find import Found
    from processor.operations.letters.meant import LookOptions
    from processor.record import Position
    from processor.settings import Settings

ROWS_AT_ONCE = 500
"""A table is measured as a whole, so a long list is several tables."""

PAGE = 50

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
        "processor dlq list --where eventName=pointsIssued --limit 0 --json · "
        "processor dlq list --follow --limit 1",
    )(list_letters)
    dlq.command("show", epilog="Example: processor dlq show capillary.events.dlq 0 17")(show_letter)


@grouped(letters=LETTERS, bounds=BOUNDS, look=LOOK)
def list_letters(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    look: dict[str, Any],
    config: Config = None,
    after: Annotated[
        str,
        typer.Option(
            "--after",
            metavar="TOPIC:P:OFFSET,…",
            help="Go on after these; a page that is not the last says which.",
        ),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=0,
            help=f"How many; 0 shows all. [default: {PAGE}, with --follow 0]",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Go on with new ones as they are written, until Ctrl-C (exit status 130) or "
            "--limit. Without a --from-… or --by-duration, only new ones.",
        ),
    ] = False,
    reveal: Reveal = False,
    as_json: Json = False,
) -> None:
    """List dead letters, the oldest first, over all partitions in the order of time.

    Keys are shown by length and hash unless --reveal.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions, position
    from processor.operations.letters.follow import check_follow
    from processor.operations.letters.meant import LookOptions
    from processor.operations.letters.options import LetterOptions

    given = BoundOptions(**bounds)
    wanted = LookOptions(LetterOptions(**letters), given.read(datetime.now(UTC)), **look)
    seen = [position("--after", text) for text in after.split(",") if text]
    show = _Printer(reveal=reveal, as_json=as_json)
    if follow:
        check_follow(given)
        earlier = given.begins or bool(seen)
        _follow(settings, wanted, show, earlier=earlier, after=seen, limit=limit or 0)
    else:
        _page(settings, wanted, show, after=seen, limit=PAGE if limit is None else limit)


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
    from processor.operations.letters.text import lines
    from processor.operations.letters.view import look

    place = position("TOPIC PARTITION OFFSET", f"{topic}:{partition}:{offset}")
    shown = asyncio.run(look(settings, place, all_connectors=all_connectors, reveal=reveal))
    if as_json:
        json_line(shown.document())
        return
    out = console()
    for line in lines(shown, dump_bytes=dump):
        out.print(safe(line.text, line.style))


def _page(
    settings: "Settings",
    wanted: "LookOptions",
    show: "_Printer",
    *,
    after: "list[Position]",
    limit: int,
) -> None:
    from processor.operations.letters.done import LettersDone
    from processor.operations.letters.find import Page, find, left_after, page
    from processor.operations.letters.meant import selecting

    with selecting(settings, wanted, done=LettersDone(settings)) as chosen:
        reader, spans, look = chosen.reader, chosen.spans, chosen.meant.look
        if limit:
            shown = page(reader, spans, look, limit=limit, after=after)
            show.letters(shown.letters, chosen.meant.label)
        else:
            shown = Page((), ())
            with closing(find(reader, left_after(spans, after), look)) as letters:
                show.letters(letters, chosen.meant.label)
    _say_count(show.count)
    for note in chosen.notes():
        say(note)
    if shown.after:
        say(f"More follow: add --after {','.join(f'{t}:{p}:{o}' for t, p, o in shown.after)}")


def _follow(
    settings: "Settings",
    wanted: "LookOptions",
    show: "_Printer",
    *,
    earlier: bool,
    after: "list[Position]",
    limit: int,
) -> None:
    from processor.operations.letters.done import LettersDone
    from processor.operations.letters.follow import follow

    done = LettersDone(settings)
    with follow(settings, wanted, earlier=earlier, after=after, say=say, done=done) as (
        chosen,
        letters,
    ):
        say("Following dead letters; Ctrl-C ends.")
        with closing(letters):
            show.letters(_first(letters, limit), chosen.meant.label)
        _say_count(show.count)
        for note in chosen.notes():
            say(note)


def _first(letters: "Iterable[Found | None]", limit: int) -> "Iterator[Found | None]":
    """Up to so many letters, 0: all, and the pauses between them."""
    count = 0
    for found in letters:
        yield found
        count += found is not None
        if limit and count == limit:
            return


class _Printer:
    """Prints letters as they come, and counts them."""

    def __init__(self, *, reveal: bool, as_json: bool) -> None:
        self._reveal = reveal
        self._as_json = as_json
        self.count = 0

    def letters(self, letters: "Iterable[Found | None]", label: Any) -> None:
        """Print letters; what came before a `None` is printed at once.

        Args:
            letters: in their order.
            label: what was done about the letter at some coordinates.
        """
        waiting: list[Found] = []
        for found in letters:
            if found is not None:
                waiting.append(found)
            if found is None or len(waiting) == ROWS_AT_ONCE:
                self._print(waiting, label)
                waiting = []
        self._print(waiting, label)

    def _print(self, letters: "list[Found]", label: Any) -> None:
        from processor.operations.letters.fields import fields_of
        from processor.operations.masking import log_reveal

        if not letters:
            return
        if self._reveal:
            for found in letters:
                log_reveal(found.position)
        rows = [
            fields_of(found, reveal=self._reveal, resolution=label(found.position))
            for found in letters
        ]
        if self._as_json:
            for row in rows:
                json_line(row)
        else:
            _print_table(rows, first=not self.count)
        self.count += len(rows)


def _print_table(rows: list[dict[str, Any]], *, first: bool) -> None:
    out = console()
    if not out.is_terminal:
        if first:
            tab_line(name.upper() for name in PLAIN)
        for row in rows:
            tab_line(row[name] for name in PLAIN)
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Dead letter", no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=1)
    for row in rows:
        again = f", replayed {row['replay_count']}x" if row["replay_count"] else ""
        done = f", {row['resolution']}" if row["resolution"] else ""
        place = f"{row['topic']} {row['partition']} {row['offset']}"
        targets = ",".join(row["targets"])
        what = " · ".join(filter(None, (row["event_name"], row["code"], targets)))
        story = f"fingerprint {row['fingerprint']} · key {row['key'] or '-'}"
        table.add_row(
            _two(place, row["timestamp"] or "-"),
            Text("\n").join(
                [safe(f"{what}{again}{done}"), safe(row["message"]), safe(story, "dim")]
            ),
        )
    out.print(table)


def _say_count(count: int) -> None:
    say({0: "No dead letter matches.", 1: "1 dead letter."}.get(count, f"{count} dead letters."))


def _two(first: str, second: str) -> Text:
    return Text("\n").join([safe(first), safe(second, "dim")])
