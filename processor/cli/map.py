"""``processor map``: one event through decode, mapping, enrichment and gate."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich import box
from rich.table import Table

from processor.cli.app import Config, Json, open_settings
from processor.cli.output import console, json_line, safe, safe_lines
from processor.errors import Misconfigured, Refused

if TYPE_CHECKING:
    from processor.mapping.mapper import Trace
    from processor.operations.map_event import Making, Outcome

BAD_VERDICT = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "map", epilog="Example: processor map schemas/pointsIssued/examples/purchase/input.json"
    )(map_event)


def map_event(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The event: JSON or Avro; - reads stdin.")
    ],
    *,
    config: Config = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="EVENT|FILE",
            help="The file is raw Avro, written with the schema of this event or Avro file.",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="This target only.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each row did, instead of the messages.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="With --explain: show values, and the messages too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Map one event and print its messages, or what each row did; nothing is sent.

    Without settings it uses our own schemas, and placeholders for organisation and targets. Exits
    with 3 when the event, or a message of it, is refused.
    """
    from processor.operations.map_event import Workbench

    settings = None
    if config is not None or os.environ.get("PROCESSOR_CONFIG"):
        settings = open_settings(config)
    elif not as_json:
        console(stderr=True).print("No settings given: placeholders stand for yours.", style="dim")
    workbench = Workbench(settings, target=target)
    writer = None if schema is None else workbench.writer_schema(schema)
    outcome = workbench.run(_read(file), writer, explain=explain)
    if as_json:
        _print_json(outcome, reveal=reveal)
    else:
        _print(outcome, reveal=reveal)
    if outcome.bad:
        raise typer.Exit(BAD_VERDICT)


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{file} cannot be read: {error.strerror}.", mend="Name a file with one event, or -."
        ) from error


def _print(outcome: "Outcome", *, reveal: bool) -> None:
    out, err = console(), console(stderr=True)
    if outcome.refused is not None:
        _print_refusal("The event is refused", outcome.refused)
    if outcome.filtered is not None:
        err.print(f"The event is filtered: {outcome.filtered.value}. No message is made.")
    elif outcome.event is not None and not outcome.makings:
        err.print("The array that the mapping set iterates is empty. No message is made.")
    for number, making in enumerate(outcome.makings):
        if making.traces:
            _print_rows(making, _named(making, outcome), reveal=reveal, heading=not number)
        if making.refused is not None:
            _print_refusal(f"Target {making.target}, message {making.index}", making.refused)
        if making.message is not None and (reveal or not making.traces):
            pretty = orjson.dumps(orjson.loads(making.message), option=orjson.OPT_INDENT_2)
            out.print(safe(f"Target {making.target}, _id {making.id}", "bold"))
            for line in pretty.decode().splitlines():
                out.print(safe(line))


def _print_refusal(what: str, refused: Refused) -> None:
    err = console(stderr=True)
    place = f" at {refused.pointer}" if refused.pointer else ""
    err.print(safe(f"{what}: {refused.code}{place}", "bold red"))
    err.print(safe(refused))
    for violation in refused.violations:
        err.print(safe(f"  {violation.pointer_to_violation}: {violation.message}"))


def _named(making: "Making", outcome: "Outcome") -> str:
    """The target; where the event gives it several messages, with the message's number."""
    several = sum(other.target == making.target for other in outcome.makings) > 1
    return f"{making.target}#{making.index}" if several else making.target


def _print_rows(making: "Making", name: str, *, reveal: bool, heading: bool) -> None:
    """A table on a terminal; elsewhere a line for each row, with tabs between its cells."""
    out = console()
    if out.is_terminal:
        out.print(_table(making, name, reveal=reveal))
        return
    if heading:
        typer.echo("TARGET\tROW\tREADS\tRULE\tDESTINATION\tRESULT")
    for trace in making.traces:
        row, reads = trace.row, ", ".join(_reads(trace, reveal=reveal)) or "-"
        result = _shown(trace, reveal=reveal)
        cells = (name, row.number, reads, row.source, row.destination, result)
        typer.echo("\t".join(safe(cell).plain for cell in cells))


def _table(making: "Making", name: str, *, reveal: bool) -> Table:
    title = f"What each row did for {name}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, expand=True)
    table.add_column("Row", justify="right")
    for heading, ratio in (("Reads", 2), ("Rule", 3), ("Destination", 2), ("Result", 2)):
        table.add_column(heading, overflow="fold", ratio=ratio)
    for trace in making.traces:
        result = safe(_shown(trace, reveal=reveal), "red" if trace.failure else "")
        row, reads = trace.row, "\n".join(_reads(trace, reveal=reveal))
        rule, destination = safe(row.source), safe(row.destination)
        table.add_row(str(row.number), safe_lines(reads), rule, destination, result)
    return table


def _reads(trace: "Trace", *, reveal: bool) -> list[str]:
    """What stands in each field that a row reads: its type, or the value when it was asked for."""
    return [f"{path}: {_value(value, reveal=reveal)}" for path, value in trace.read]


def _shown(trace: "Trace", *, reveal: bool) -> str:
    """A row's result; a value only when it was asked for."""
    from processor.mapping.mapping_set import SourceType

    if trace.failure:
        return f"failed: {trace.failure}"
    constant = trace.row.source_type is SourceType.STATIC
    return _value(trace.value, reveal=reveal or constant)


def _value(value: Any, *, reveal: bool) -> str:
    from processor.mapping.values import kind_of

    if value is None:
        return "nothing"
    if reveal:
        return orjson.dumps(value, default=str).decode()
    many = f" of {len(value)}" if isinstance(value, list) else ""
    return kind_of(value) + many


def _print_json(outcome: "Outcome", *, reveal: bool) -> None:
    from processor.operations.masking import shown_id

    event_name = None if outcome.event is None else outcome.event.name
    if outcome.refused is not None:
        json_line({"event_name": event_name, "outcome": "refused", **_refusal(outcome.refused)})
    if outcome.filtered is not None:
        json_line(
            {"event_name": event_name, "outcome": "filtered", "reason": outcome.filtered.value}
        )
    for making in outcome.makings:
        document: dict[str, Any] = {
            "event_name": event_name,
            "target": making.target,
            "index": making.index,
            "outcome": "refused" if making.refused is not None else "mapped",
            "_id": shown_id(making.id, outcome.event, reveal=reveal or not making.traces),
        }
        if making.refused is not None:
            document |= _refusal(making.refused)
        if making.message is not None and (reveal or not making.traces):
            document["message"] = orjson.loads(making.message)
        if making.traces:
            document["rows"] = [_row(trace, reveal=reveal) for trace in making.traces]
        json_line(document)


def _refusal(refused: Refused) -> Mapping[str, Any]:
    return {
        "code": refused.code.value,
        "pointer": refused.pointer,
        "message": str(refused),
        "violations": [violation.as_adobe() for violation in refused.violations],
    }


def _row(trace: "Trace", *, reveal: bool) -> Mapping[str, Any]:
    return {
        "row": trace.row.number,
        "source_type": trace.row.source_type.value,
        "source": trace.row.source,
        "destination": str(trace.row.destination),
        "reads": [
            {"path": path, "found": _value(value, reveal=reveal)} for path, value in trace.read
        ],
        "result": _shown(trace, reveal=reveal),
    }
