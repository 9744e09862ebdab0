"""``processor errors``: what the systemic brake holds, and letting it go."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import Execute, say
from processor.cli.output import console, json_line, safe

if TYPE_CHECKING:
    from processor.operations.held import Held

NOT_ENDED = 3
PLAIN = (
    "kind",
    "code",
    "target",
    "worker",
    "task",
    "since",
    "records",
    "first",
    "probes",
    "heard_s",
    "stale",
    "message",
)
"""Fields of a line when stdout is no terminal, separated by tabs."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    errors = typer.Typer(
        name="errors",
        help="What holds because records fail alike, and letting it go.",
        no_args_is_help=True,
    )
    errors.command("list", epilog="Examples: processor errors list · processor errors list --json")(
        list_holds
    )
    errors.command(
        "release",
        epilog="Examples: processor errors release --all · "
        "processor errors release 3f2a9c01b7de --execute",
    )(release_kinds)
    app.add_typer(errors)


def list_holds(*, config: Config = None, as_json: Json = False) -> None:
    """List what holds: which failures, since when, how many records wait, and what mends it.

    It reads the state topic; a worker tells what it holds every few seconds.
    """
    settings = open_settings(config)
    from processor.kafka.state import StateTopic
    from processor.operations.held import held_now

    held = held_now(StateTopic(settings, f"{settings.name}-errors"))
    if as_json:
        for one in held:
            json_line(one.fields())
    elif held:
        _print_table(held)
    _say_what_holds(held)


def release_kinds(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="KIND…", help="As 'processor errors list' shows them."),
    ] = None,
    *,
    config: Config = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever holds.")] = False,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Let go what holds: the records are at fault, so they become dead letters.

    So do those that follow and fail alike, until they are rare. Without --execute it only says
    what would happen. Exit status 3: not every task has let go within 30 seconds.
    """
    settings = open_settings(config)
    from processor.kafka.state import StateTopic
    from processor.operations.held import chosen, held_now, release

    state = StateTopic(settings, f"{settings.name}-errors")
    held = held_now(state)
    targets = chosen(held, kinds or [], everything=everything)
    if not targets:
        say("Nothing holds.")
        return
    if not execute:
        for one in targets:
            _print_release(one, "would let go", as_json=as_json)
        say("Nothing was done: add --execute to let go.")
        return
    say("The order is given; the tasks have up to 30 seconds.")
    released = release(state, targets, say=say)
    for one in released.ended:
        _print_release(one, "let go", as_json=as_json)
    for one in released.gone:
        _print_release(one, "gone", as_json=as_json)
    for one in released.left:
        _print_release(one, "still holds", as_json=as_json)
    if released.left:
        say(
            "Not every task has let go yet. Look at /readyz and the log of these workers: whether "
            "they run, whether they reach the state topic, and whether their dead letters are "
            "written."
        )
        raise typer.Exit(NOT_ENDED)


def _print_release(one: "Held", fate: str, *, as_json: bool) -> None:
    if as_json:
        json_line({**one.fields(), "fate": fate.replace(" ", "_")})
        return
    what = f"{one.hold.kind_id} ({_kind(one)})"
    records = _records(one.hold.records)
    lines = {
        "would let go": f"Would let go {what}: {records} of {one.who} become dead letters.",
        "let go": f"Let go {what}: {records} of {one.who} become dead letters.",
        "gone": f"Deleted {what} of {one.who}, which is gone: last heard {one.heard_s:.0f} s ago.",
        "still holds": f"Still holds {what}: {records} of {one.who}.",
    }
    console().print(safe(lines[fate]))


def _say_what_holds(held: "list[Held]") -> None:
    if not held:
        say("Nothing holds.")
        return
    say("1 hold." if len(held) == 1 else f"{len(held)} holds.")
    for who, heard_s in {one.who: one.heard_s for one in held if one.stale}.items():
        say(f"{who} has not been heard of for {heard_s:.0f} s: its worker is probably gone.")


def _print_table(held: "list[Held]") -> None:
    out = console()
    if not out.is_terminal:
        typer.echo("\t".join(name.upper() for name in PLAIN))
        for one in held:
            row = {**one.fields(), "first": one.hold.first}
            typer.echo("\t".join(safe(_cell(row[name])).plain for name in PLAIN))
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Kind", no_wrap=True)
    table.add_column("What holds", overflow="fold", ratio=1)
    for one in held:
        hold = one.hold
        first = f", first {hold.first}" if hold.first is not None else ""
        waits = f"{_records(hold.records)} since {hold.since}{first}, {hold.probes} tried again"
        gone = ", probably gone" if one.stale else ""
        heard = f"{one.who}, heard {one.heard_s:.0f} s ago{gone}"
        lines = [safe(_kind(one)), safe(waits), safe(heard, "dim"), safe(hold.message)]
        table.add_row(safe(hold.kind_id), Text("\n").join(lines))
    out.print(table)


def _kind(one: "Held") -> str:
    return f"{one.hold.code} {one.hold.target}".rstrip()


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else str(value)
