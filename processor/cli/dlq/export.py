"""``processor dlq export|import``: dead letters into a file, and back."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import (
    BOUNDS,
    LETTERS,
    LOOK,
    Execute,
    Reveal,
    grouped,
    progress_bar,
    say,
)
from processor.cli.output import json_line, json_text

STDOUT = "-"


def register(dlq: typer.Typer) -> None:
    """Add the commands."""
    dlq.command(
        "export",
        epilog="Examples: processor dlq export --code gate.violation --output letters.jsonl · "
        "processor dlq export --format raw --reveal --output letters.raw.jsonl",
    )(export_letters)
    dlq.command(
        "import",
        epilog="Examples: processor dlq import letters.raw.jsonl · "
        "processor dlq import letters.raw.jsonl --execute",
    )(import_letters)


@grouped(letters=LETTERS, bounds=BOUNDS, look=LOOK)
def export_letters(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    look: dict[str, Any],
    config: Config = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="jsonl|raw",
            help="jsonl: fields, headers and event; raw: bytes in base64, with --reveal only.",
        ),
    ] = "jsonl",
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where to; - is stdout.")
    ] = Path(STDOUT),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    reveal: Reveal = False,
) -> None:
    """Write dead letters as JSON, one a line; those of each partition in their order.

    Customers' values are masked unless --reveal, which is logged; what was exported with it can be
    imported again. A file is readable for you alone, and is there only when it is whole.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions
    from processor.operations.letters.done import LettersDone
    from processor.operations.letters.export import JSONL, Export, check_format
    from processor.operations.letters.meant import LookOptions, selecting
    from processor.operations.letters.options import LetterOptions

    check_format(form, reveal=reveal)
    limits = BoundOptions(**bounds).read(datetime.now(UTC))
    wanted = LookOptions(LetterOptions(**letters), limits, **look)
    done = LettersDone(settings)
    with selecting(settings, wanted, done=done, decode=form == JSONL) as chosen:
        export = Export(chosen, form, reveal)
        with _sink(output, force=force) as write, progress_bar("Exporting", chosen.offsets) as bar:
            for document in export.documents(bar.show):
                write(f"{json_text(document)}\n")
        say(f"{export.count} {'dead letter' if export.count == 1 else 'dead letters'} exported.")
        for note in chosen.notes():
            say(note)


def import_letters(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What was exported with --reveal.")],
    *,
    config: Config = None,
    topic: Annotated[
        str | None,
        typer.Option("--topic", metavar="TOPIC", help="Into this one; else where they stood."),
    ] = None,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Write exported dead letters back into a dead-letter topic: the same bytes and partition.

    The whole file is checked first; nothing is written when a line is broken. What is imported
    twice is there twice.
    """
    settings = open_settings(config)
    from processor.operations.letters.importing import check_file, size_of, write_file

    with progress_bar("Checking", size_of(file)) as bar:
        found = check_file(settings, file, topic, bar.show)
    written = 0
    if execute:
        with progress_bar("Writing", found.count) as bar:
            written = write_file(settings, file, topic, found, bar.show)
    if as_json:
        json_line(found.document(executed=execute, written=written))
    else:
        for line in found.lines(executed=execute, written=written):
            typer.echo(line)


@contextmanager
def _sink(output: Path, *, force: bool) -> Iterator[Callable[[str], object]]:
    """Where the lines go."""
    if str(output) == STDOUT:
        yield sys.stdout.write
        sys.stdout.flush()
        return
    from processor.operations.private_file import private_file

    with private_file(output, force=force) as file:
        yield lambda line: file.write(line.encode())
