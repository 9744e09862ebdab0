"""``processor schemas check`` and ``diff``: is the folder right, and what a new schema breaks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.app import Config, Json
from processor.cli.output import console, json_line, safe
from processor.cli.schemas.settings import settings_if_any

if TYPE_CHECKING:
    from processor.operations.schemas.check import Verdict
    from processor.operations.schemas.diff import Difference

BAD_VERDICT = 3
_VERSION_HELP = "An Avro file, an event of the folder, or EVENT@VERSION of its older ones."


def register(schemas: typer.Typer) -> None:
    """Add the commands."""
    schemas.command(
        epilog="Examples: processor schemas check · processor schemas check --json",
    )(check)
    schemas.command(
        epilog="Examples: processor schemas diff pointsIssued schemas/pointsIssued/event.avsc · "
        "processor schemas diff customerAdded customerAdded --json",
    )(diff)


def check(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="An operator's folder, instead of schemas.directory."),
    ] = None,
    *,
    config: Config = None,
    json: Json = False,
) -> None:
    """Prove every mapping set against its Avro schema and its XDM schema, and every example.

    Works without settings too: against our own XDM schemas. Says everything that is wrong, with
    file, row, column and mend. Exits with 3 when anything is.
    """
    from processor.operations.schemas.check import check_schemas

    out, bad, events = console(), 0, 0
    for verdict in check_schemas(settings_if_any(config), directory):
        bad += len(verdict.faults)
        events += verdict.event is not None
        if json:
            json_line(verdict.document())
            continue
        state = safe("bad " if verdict.bad else "ok  ", "red" if verdict.bad else "green")
        out.print(state.append_text(safe(_line(verdict))))
        for fault in verdict.faults:
            out.print(safe(f"      {fault}"))
            out.print(safe(f"      {fault.mend}", "dim"))
    if not json:
        faults = "1 fault" if bad == 1 else f"{bad} faults"
        out.print(safe(f"{events} events, {faults if bad else 'nothing wrong'}."))
    if bad:
        raise typer.Exit(BAD_VERDICT)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_VERSION_HELP)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Likewise.")],
    *,
    event: Annotated[
        str,
        typer.Option(
            "--event",
            metavar="EVENT",
            help="The event that they are versions of; else the one with the same record.",
        ),
    ] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """What a new Avro version changes, and which mapped paths it breaks.

    Names added, removed and changed fields; whether records of NEW can be read as ours; and each
    row of a mapping set that OLD served and NEW does not. Exits with 3 when anything breaks.
    """
    from processor.operations.schemas.context import Context
    from processor.operations.schemas.diff import diff as compare

    found = compare(Context.of(settings_if_any(config)), old, new, event=event)
    if json:
        json_line(found.document())
    else:
        _print_difference(found)
    if found.bad:
        raise typer.Exit(BAD_VERDICT)


def _print_difference(found: "Difference") -> None:
    out = console()
    for change in found.changes:
        out.print(safe(change))
    if not found.changes:
        out.print("No field differs.")
    if found.event is None:
        out.print("No event of the schemas folder has this record; name one with --event.")
        return
    if found.unreadable:
        out.print(safe(f"Records of NEW cannot be read as ours: {found.unreadable}", "red"))
    else:
        out.print(safe(f"Records of NEW can be read as our {found.event}."))
    if found.old_unreadable:
        out.print(safe(f"With NEW as ours, those of OLD could not: {found.old_unreadable}"))
    for one in found.breaks:
        out.print(safe(f"breaks   {one}", "red"))
        out.print(safe(f"         {one.mend}", "dim"))
    if not found.breaks:
        out.print("No row of a mapping set breaks.")


def _line(verdict: "Verdict") -> str:
    if verdict.event is None:
        return "the folder and the settings"
    targets = ", ".join(verdict.targets) or "no target"
    return (
        f"{verdict.event} ({verdict.origin}): {targets}; {verdict.rows} rows, "
        f"{verdict.examples} examples"
    )
