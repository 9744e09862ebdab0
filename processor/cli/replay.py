"""``processor replay``: a range of a source topic once more."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import BOUNDS, Execute, grouped, print_report, progress_bar, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    replay = typer.Typer(
        name="replay", help="Replay of source topics, in a group of its own.", no_args_is_help=True
    )
    # With a callback the only command keeps its name.
    replay.callback()(_group)
    replay.command(
        "run",
        epilog="Examples: processor replay run --topic capillary.events --by-duration PT6H · "
        "processor replay run --topic capillary.events:0,1 --from-offset 1000 --to-offset 2000 "
        "--where eventName=pointsIssued --execute",
    )(run_range)
    app.add_typer(replay)


def _group() -> None:
    """Replay of source topics, in a group of its own; the connector's offsets are not touched."""


@grouped(bounds=BOUNDS)
def run_range(
    *,
    bounds: dict[str, Any],
    topic: Annotated[
        list[str],
        typer.Option("--topic", metavar="TOPIC[:P,…]", help="Source topic; may be repeated."),
    ],
    config: Config = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Only this key: text, or hex: and its bytes."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Only where the decoded event has this, such as eventName=pointsIssued.",
        ),
    ] = None,
    execute: Execute = False,
    as_json: Json = False,
) -> None:
    """Send a range of a source topic through the connector's own pipeline once more.

    Without --execute it says which records they are. The end is pinned at the start, the offsets
    are kept in the group GROUP-replay-ID, and those of the connector are not touched. What
    Experience Platform has already is not corrected, only gaps are filled; of targets that hold a
    state an older record can overwrite a newer one. Exits with 3 when a record failed.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions
    from processor.operations.replay_run import RunOptions, prepare

    wanted = RunOptions(topic, key or (), where or ())
    replay = prepare(settings, wanted, BoundOptions(**bounds), now=datetime.now(UTC))
    for warning in replay.warnings():
        say(warning)
    with progress_bar("Looking", replay.offsets) as bar:
        selection = asyncio.run(replay.select(bar.show))
    if not execute:
        print_report(replay.describe(selection), as_json=as_json)
    with progress_bar("Replaying", selection.records.count) as bar:
        report = asyncio.run(
            replay.execute(selection, lambda so_far: bar.show(so_far.ended), bar.close)
        )
    print_report(report, as_json=as_json)
