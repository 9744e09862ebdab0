"""``processor schemas list`` and ``show``: what the folder holds, and where each field goes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from processor.cli.app import Config, Json
from processor.cli.output import console, json_block, json_line, safe, tab_line
from processor.cli.schemas.settings import settings_if_any

if TYPE_CHECKING:
    from processor.operations.schemas.view import Listed, Shown

Event = Annotated[str, typer.Argument(metavar="EVENT", help="Its name as Capillary spells it.")]


def register(schemas: typer.Typer) -> None:
    """Add the commands."""
    schemas.command(
        "list", epilog="Examples: processor schemas list · processor schemas list --json"
    )(list_)
    schemas.command(
        "show",
        epilog="Examples: processor schemas show pointsIssued · "
        "processor schemas show pointsIssued --json · "
        "processor schemas show pointsIssued --avro",
    )(show)


def list_(*, config: Config = None, json: Json = False) -> None:
    """The events of the schemas folder: whose they are, their targets, mapping rows and examples.

    Works without settings too: it is then our own folder.
    """
    from processor.operations.schemas.context import Context
    from processor.operations.schemas.view import list_events

    listed = list(list_events(Context.whole(settings_if_any(config))))
    if json:
        for event in listed:
            json_line(event.document())
        return
    headings = ("Event", "From", "Versions", "Targets (rows)", "Configured", "Examples")
    _print_rows(headings, (_cells(event) for event in listed))


def show(
    event: Event,
    *,
    config: Config = None,
    avro: Annotated[
        bool,
        typer.Option(
            "--avro", help="One self-contained Avro schema, with XDM paths at its fields."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """The fields of one event, and where each of them goes in the XDM of each target.

    Without settings `_tenant` stands for the tenant's namespace. --avro prints a schema that needs
    no other file: shared types stand where they are first used.
    """
    from processor.operations.schemas.context import Context
    from processor.operations.schemas.view import avro_with_xdm, show_event

    context = Context.whole(settings_if_any(config))
    if avro:
        written = avro_with_xdm(context, event)
        if json:
            json_line(written)
        else:
            json_block(written)
        return
    fields = show_event(context, event)
    if json:
        for field in fields:
            json_line(field.document())
        return
    _print_rows(("Field", "Type", "Goes to"), map(_field, fields))


def _cells(event: "Listed") -> tuple[str, ...]:
    targets = (f"{name} ({'?' if rows is None else rows})" for name, rows in event.targets.items())
    return (
        event.name,
        event.origin,
        ", ".join(("current", *event.versions)),
        ", ".join(targets) or "none",
        ", ".join(event.configured) or "none",
        str(len(event.examples)),
    )


def _field(shown: "Shown") -> tuple[str, ...]:
    goes_to = (f"{target}: {path}" for target, paths in shown.goes_to.items() for path in paths)
    return shown.field.path, shown.field.type, ", ".join(goes_to)


def _print_rows(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    """A table on a terminal; elsewhere a line for each row, with tabs between its cells."""
    out = console()
    if not out.is_terminal:
        tab_line(heading.upper() for heading in headings)
        for row in rows:
            tab_line(cell or None for cell in row)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=column == 0)
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    out.print(table)
