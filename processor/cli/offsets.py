"""``processor offsets``: where the connector stands, and setting it elsewhere."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import Execute, say
from processor.cli.output import console, json_line, safe

if TYPE_CHECKING:
    from processor.operations.offsets.offsets import Offsets
    from processor.operations.offsets.reset import Reset

TO = "Where to (exactly one)"
Topic = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", metavar="TOPIC[:P,…]", help="Source topic; may be repeated. Left out: all."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    offsets = typer.Typer(
        name="offsets",
        help="The connector's own committed offsets: look at them, and set them.",
        no_args_is_help=True,
    )
    offsets.command(
        "show",
        epilog="Examples: processor offsets show · "
        "processor offsets show --topic capillary.events:0,1 --json",
    )(show_offsets)
    offsets.command(
        "reset",
        epilog="Examples: processor offsets reset --to-datetime 2026-01-31T12:00:00Z · "
        "processor offsets reset --topic capillary.events:0 --shift-by -100 --undo undo.csv "
        "--execute",
    )(reset_offsets)
    app.add_typer(offsets)


def show_offsets(
    *,
    topic: Topic = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="GROUP", help="Another group, such as a replay's."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Where the connector stands in each partition: committed, ended beyond it, log, lag, member.

    What had ended beyond the committed offset stands in the commit's metadata and is not read
    again; where that metadata is ignored, it says why. Reads only; nothing is committed.
    """
    settings = open_settings(config)
    from processor.operations.bounds import topic_choice
    from processor.operations.offsets.offsets import show

    found = show(settings, [topic_choice("--topic", text) for text in topic or ()], group)
    if as_json:
        for document in found.documents():
            json_line(document)
        return
    say(_group(found))
    if found.standings:
        _table(_standing_rows(found), stderr=False)
    for standing in found.standings:
        if standing.ignored:
            say(f"{standing.partition}: the commit's metadata is ignored: {standing.ignored}.")
        if not standing.consumed and group is None:
            say(f"{standing.partition} is no topic of the connector any more.")


def reset_offsets(
    *,
    topic: Topic = None,
    to_earliest: Annotated[
        bool, typer.Option("--to-earliest", help="The log's start.", rich_help_panel=TO)
    ] = False,
    to_latest: Annotated[
        bool, typer.Option("--to-latest", help="The log's end.", rich_help_panel=TO)
    ] = False,
    to_offset: Annotated[
        str | None,
        typer.Option("--to-offset", metavar="N", help="This offset.", rich_help_panel=TO),
    ] = None,
    to_datetime: Annotated[
        str | None,
        typer.Option(
            "--to-datetime",
            metavar="TIME",
            help="The first record at or after this time: ISO 8601, UTC unless it says.",
            rich_help_panel=TO,
        ),
    ] = None,
    by_duration: Annotated[
        str | None,
        typer.Option(
            "--by-duration",
            metavar="PnDTnHnMnS",
            help="The first record since so long ago, such as PT6H.",
            rich_help_panel=TO,
        ),
    ] = None,
    shift_by: Annotated[
        str | None,
        typer.Option(
            "--shift-by", metavar="N", help="So many on, or back: -100.", rich_help_panel=TO
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="CSV",
            help="Lines topic,partition,offset, such as an undo file.",
            rich_help_panel=TO,
        ),
    ] = None,
    undo: Annotated[
        Path | None,
        typer.Option(
            "--undo", metavar="FILE", help="Write what was committed before here, not to stdout."
        ),
    ] = None,
    skip_records: Annotated[
        bool,
        typer.Option("--skip-records", help="Go forward over records that have not ended."),
    ] = False,
    execute: Execute = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Set the connector's committed offsets, with the words of kafka-consumer-groups.

    Without --execute it says what would change, how many records would be read again, and how many
    would be skipped. With it, the connector has to be stopped: it exits with 1 while anybody is in
    the group. An offset outside the log becomes the log's start or end. The offsets of before are
    printed, or written to --undo, as a file that --from-file takes.
    """
    settings = open_settings(config)
    from processor.operations.bounds import topic_choice
    from processor.operations.offsets.file import may_be_written
    from processor.operations.offsets.reset import ResetOptions, prepare

    options = ResetOptions(
        to_earliest, to_latest, to_offset, to_datetime, by_duration, shift_by, from_file
    )
    choices = [topic_choice("--topic", text) for text in topic or ()]
    if undo is not None:
        may_be_written(undo)
    reset = prepare(settings, options, choices, now=datetime.now(UTC))
    if execute:
        _execute(reset, undo, skip_records=skip_records, as_json=as_json)
        return
    for warning in reset.warnings():
        say(warning)
    _print(reset, executed=False, as_json=as_json)
    say(_cost(reset, "would be"))
    if reset.to_do:
        forward = " --skip-records" if reset.skipped else ""
        say(f"Nothing was changed; add --execute{forward} to do it.")


def _execute(reset: "Reset", undo: Path | None, *, skip_records: bool, as_json: bool) -> None:
    from processor.operations.offsets.file import write_new

    reset.allow(skip_records=skip_records)
    for warning in reset.warnings():
        say(warning)
    if not reset.to_do:
        _print(reset, executed=True, as_json=as_json)
        say("Nothing was changed: these offsets are committed already.")
        return
    before = reset.undo()
    # First the way back: whatever happens from here, it is there.
    if undo is not None:
        write_new(undo, before)
    elif not as_json:
        sys.stdout.write(before)
        sys.stdout.flush()
    else:
        json_line({"undo": before})
    reset.write()
    _print(reset, executed=True, as_json=as_json)
    say(_cost(reset, "will be"))
    forward = " --skip-records" if reset.undo_skips else ""
    file = undo if undo is not None else "FILE"
    say(f"To undo it: processor offsets reset --from-file {file} --execute{forward}")


def _print(reset: "Reset", *, executed: bool, as_json: bool) -> None:
    if not as_json:
        # What is executed leaves stdout to the undo file.
        _table(_change_rows(reset), stderr=executed)
        return
    for change in reset.changes:
        json_line(change.document())
    json_line(
        {
            "total": True,
            "group": reset.group.name,
            "executed": executed,
            "changed": len(reset.to_do),
            "read_again": reset.read_again,
            "skipped": reset.skipped,
        }
    )


def _cost(reset: "Reset", verb: str) -> str:
    return (
        f"{reset.read_again} records {verb} read again, {reset.skipped} {verb} skipped for good "
        f"(by offsets; gaps in the log count), in {len(reset.to_do)} of {len(reset.changes)} "
        "partitions."
    )


def _group(found: "Offsets") -> str:
    """How the group is; ``dead`` is Kafka's word for one that there is not."""
    group = found.group
    if group.state == "dead":
        return f"There is no consumer group {group.name}: no members, no committed offsets."
    return f"Group {group.name} is {group.state}."


def _standing_rows(found: "Offsets") -> Iterator[Sequence[Any]]:
    yield "TOPIC", "PARTITION", "COMMITTED", "ENDED-BEYOND", "LOG-START", "LOG-END", "LAG", "MEMBER"
    for s in found.standings:
        yield (
            *s.partition,
            s.committed,
            f"{s.ended_beyond}{' (ignored)' if s.ignored else ''}",
            s.start,
            s.end,
            s.lag,
            found.group.holder(s.partition),
        )


def _change_rows(reset: "Reset") -> Iterator[Sequence[Any]]:
    yield "TOPIC", "PARTITION", "COMMITTED", "NEW", "READ-AGAIN", "SKIPPED"
    for change in reset.changes:
        new = "none" if change.new is None else change.new
        committed = change.standing.committed
        yield *change.partition, committed, new, change.read_again, change.skipped


def _table(rows: Iterator[Sequence[Any]], *, stderr: bool) -> None:
    """Columns as kafka-consumer-groups has them: for people, and for ``awk``."""
    out = console(stderr=stderr)
    texts = [["-" if cell is None else safe(cell).plain for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        out.print(safe("  ".join(cells).rstrip()))
