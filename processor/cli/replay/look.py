"""``processor replay list|show``: which replays there are, and how far one is."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import print_report, say
from processor.cli.output import console, json_line, safe, tab_line

if TYPE_CHECKING:
    from processor.operations.replays.look import Seen


COLUMNS = ("Replay", "Of", "Status", "Delivered", "Chosen", "Begun by", "At")
"""What is printed of each replay, in the order of `_cells`."""


def register(replay: typer.Typer) -> None:
    """Add the commands."""
    replay.command("list", epilog="Example: processor replay list --json")(list_replays)
    replay.command("show", epilog="Example: processor replay show 20260131t120000-9f3a")(
        show_replay
    )


def list_replays(*, config: Config = None, as_json: Json = False) -> None:
    """List the replays of this connector, of source topics and of dead letters, the oldest first.

    One that stands as running, but whose process was killed, is shown as interrupted.
    """
    settings = open_settings(config)
    from processor.operations.replays.look import all_replays

    found = all_replays(settings)
    if as_json:
        for one in found:
            json_line(one.document)
    else:
        _print(found)
    say({0: "No replay.", 1: "1 replay."}.get(len(found), f"{len(found)} replays."))


def show_replay(
    replay_id: Annotated[str, typer.Argument(metavar="ID", help="As `replay list` shows it.")],
    *,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show one replay: what it takes, how it is done, what became of it.

    How far it is, is told by the offsets that its consumer group has committed, so it is right
    after a kill -9 too.
    """
    settings = open_settings(config)
    from processor.operations.replays.look import one_replay

    print_report(one_replay(settings, replay_id), as_json=as_json)


def _print(found: "list[Seen]") -> None:
    """A table on a terminal, ids whole at any width; elsewhere a line each, with tabs."""
    if not found:
        return
    out = console()
    if not out.is_terminal:
        tab_line(name.upper().replace(" ", "_") for name in COLUMNS)
        for one in found:
            tab_line(_cells(one))
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Replay", no_wrap=True)
    table.add_column("What", overflow="fold", ratio=1)
    for one in found:
        replay_id, kind, status, delivered, chosen, by, created = _cells(one)
        said = f"{status}: {delivered} delivered of {chosen} {kind}"
        story = [safe(said), safe(f"begun by {by} at {created}", "dim")]
        table.add_row(safe(replay_id), Text("\n").join(story))
    out.print(table)


def _cells(one: "Seen") -> tuple[object, ...]:
    base = one.base
    return (
        base.id,
        base.kind.value,
        one.status.value,
        base.counts.get("delivered", 0),
        base.chosen,
        base.by,
        base.created,
    )
