"""What the commands that choose a range share: its options, and reading them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.app import open_settings
from processor.cli.options import Options, progress_bar

if TYPE_CHECKING:
    from processor.operations.replays.ranges.manner import Manner
    from processor.operations.replays.ranges.prepare import Range, RangeOptions
    from processor.operations.replays.ranges.replay import RangeReplay
    from processor.settings import Settings

WHICH, HOW = "Which records", "How they are sent"


def _option(
    kind: Any, panel: str, *flags: str, default: Any = None, **named: Any
) -> tuple[Any, Any]:
    return Annotated[kind, typer.Option(*flags, rich_help_panel=panel, **named)], default


RANGE: Options = {
    "topics": _option(
        list[str], WHICH, "--topic", default=[], metavar="TOPIC[:P,…]",
        help="Source topic; repeatable.",
    ),
    "keys": _option(
        list[str], WHICH, "--key", default=[], metavar="KEY",
        help="Only this key: text, or hex: and its bytes; repeatable, any of them.",
    ),
    "where": _option(
        list[str], WHICH, "--where", default=[], metavar="FIELD=VALUE",
        help="Only where the decoded event has this, such as eventName=pointsIssued; repeatable, "
        "all of them.",
    ),
}  # fmt: skip
"""Fields of `processor.operations.replays.ranges.prepare.RangeOptions`."""

MANNER: Options = {
    "rate": _option(
        float | None, HOW, "--rate", metavar="N",
        help="Messages a second; by default a fifth of the connector's rates.",
    ),
    "targets": _option(
        list[str], HOW, "--target", default=[], metavar="NAME",
        help="Only to this configured target; repeatable.",
    ),
    "allow_stale": _option(
        bool, HOW, "--allow-stale", default=False,
        help="Send a record to a target that holds a state although a later one of its key is "
        "there: it overwrites what that has set.",
    ),
    "id_label": _option(
        str | None, HOW, "--new-ids", metavar="LABEL",
        help="Fresh _ids, made of the usual ones and LABEL. Experience Platform then holds each "
        "event twice.",
    ),
    "override": _option(
        Path | None, HOW, "--target-override", metavar="FILE",
        help="A TOML file whose [experience_platform] (and [ims]) stand in place of the "
        "configured ones.",
    ),
}  # fmt: skip


def read_manner(config: Path | None, manner: dict[str, Any]) -> "tuple[Settings, Manner]":
    """The settings, with the override in place, and how it is done."""
    override = manner["override"]
    settings = open_settings(config, override=override)
    from processor.operations.replays.ranges.manner import manner_of

    given = {name: value for name, value in manner.items() if name != "override"}
    return settings, manner_of(settings, **given, overridden=override is not None)


def select(found: "Range") -> "RangeReplay":
    """Choose the records of a range, with a bar where that takes long."""
    import asyncio

    with progress_bar("Looking", found.offsets) as bar:
        return asyncio.run(found.select(bar.show))


def range_options(given: dict[str, Any]) -> "RangeOptions":
    """What was given for the options of `RANGE`."""
    from processor.operations.replays.ranges.prepare import RangeOptions

    return RangeOptions(**given)
