"""``processor schemas check`` and ``diff``: is the folder right, and what a new schema breaks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.app import Config, Json
from processor.cli.output import console, json_line, safe
from processor.cli.schemas.settings import settings_if_any

if TYPE_CHECKING:
    from processor.operations.schemas_check import Verdict

BAD_VERDICT = 3


def register(schemas: typer.Typer) -> None:
    """Add the commands."""
    schemas.command(
        epilog="Examples: processor schemas check · processor schemas check --json",
    )(check)


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
    from processor.operations.schemas_check import check_schemas

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


def _line(verdict: "Verdict") -> str:
    if verdict.event is None:
        return "the folder and the settings"
    targets = ", ".join(verdict.targets) or "no target"
    return (
        f"{verdict.event} ({verdict.origin}): {targets}; {verdict.rows} rows, "
        f"{verdict.examples} examples"
    )
