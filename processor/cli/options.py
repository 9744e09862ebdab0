"""What several commands share: groups of options, a progress bar, a report."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer

from processor.cli.output import console, json_line, safe

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from processor.operations.replays.report import Report

Options = Mapping[str, tuple[Any, Any]]
"""By parameter name, the annotated type and the default."""


def _text(flag: str, metavar: str, help_: str, panel: str) -> tuple[Any, None]:
    option = typer.Option(flag, metavar=metavar, help=help_, rich_help_panel=panel)
    return Annotated[str | None, option], None


def _texts(flag: str, metavar: str, help_: str, panel: str) -> tuple[Any, list[str]]:
    option = typer.Option(flag, metavar=metavar, help=help_, rich_help_panel=panel)
    return Annotated[list[str], option], []


def _flag(flag: str, help_: str, panel: str) -> tuple[Any, bool]:
    return Annotated[bool, typer.Option(flag, help=help_, rich_help_panel=panel)], False


RANGE = "Range"
SELECT = "Which dead letters (each may be repeated)"

BOUNDS: Options = {
    "from_earliest": _flag("--from-earliest", "Begin with the oldest.", RANGE),
    "from_offset": _text("--from-offset", "N", "Begin at this offset.", RANGE),
    "from_datetime": _text(
        "--from-datetime", "TIME", "Begin at this time: ISO 8601, UTC unless it says.", RANGE
    ),
    "by_duration": _text(
        "--by-duration", "PnDTnHnMnS", "Begin so long ago, such as PT6H or P1DT12H.", RANGE
    ),
    "to_latest": _flag("--to-latest", "End with what is there now; the default.", RANGE),
    "to_offset": _text("--to-offset", "N", "End before this offset.", RANGE),
    "to_datetime": _text("--to-datetime", "TIME", "End before this time.", RANGE),
}
"""Fields of `processor.operations.bounds.BoundOptions`."""

LETTERS: Options = {
    "topics": _texts(
        "--topic", "TOPIC[:P,…]", "Dead-letter topic, or the source topic of one.", SELECT
    ),
    "codes": _texts("--code", "CODE", "Why they failed, such as gate.violation.", SELECT),
    "stages": _texts("--stage", "STAGE", "VALUE_CONVERTER, TRANSFORMATION, TASK_PUT.", SELECT),
    "fingerprints": _texts("--fingerprint", "HEX", "One kind of failure.", SELECT),
    "events": _texts("--event", "NAME", "Such as pointsIssued.", SELECT),
    "keys": _texts("--key", "KEY", "The record's key: text, or hex: and its bytes.", SELECT),
    "sources": _texts(
        "--source", "TOPIC[:P[:OFFSET]]", "Where the original record stands.", SELECT
    ),
    "offsets": _texts("--offset", "TOPIC:P:OFFSET", "This very dead letter.", SELECT),
    "all_connectors": _flag(
        "--all-connectors", "Those of other connectors in the topic too.", SELECT
    ),
}
"""Fields of `processor.operations.letters.options.LetterOptions`."""

LOOK: Options = {
    "wheres": _texts(
        "--where", "FIELD=VALUE", "Of the decoded event, such as data.totalPoints=7.", SELECT
    ),
    "resolution": (
        Annotated[
            str,
            typer.Option(
                "--resolution",
                metavar="open|replayed|discarded|any",
                help="What was done about them.",
                rich_help_panel=SELECT,
            ),
        ],
        "open",
    ),
}
"""Fields of `processor.operations.letters.meant.LookOptions`, beside the two groups above."""

Execute = Annotated[
    bool, typer.Option("--execute", help="Do it; without this, only say what would happen.")
]
Reveal = Annotated[
    bool, typer.Option("--reveal", help="Show customers' values; who looked at what is logged.")
]


def grouped(**groups: Options) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command whole groups of options, each as one dictionary parameter.

    Args:
        groups: by the command's parameter, the options that are gathered in it.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters.values()
        parameters = [p for p in own if p.name not in groups] + [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            for options in groups.values()
            for name, (annotation, default) in options.items()
        ]

        @functools.wraps(command)
        def call(**given: Any) -> None:
            gathered = {
                group: {name: given.pop(name) for name in options}
                for group, options in groups.items()
            }
            command(**given, **gathered)

        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # Typer reads it
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        return call

    return decorate


def say(text: str) -> None:
    """Print a line on stderr."""
    console(stderr=True).print(safe(text))


def print_report(report: "Report", *, as_json: bool) -> NoReturn:
    """Print what came of a replay, and exit with its status."""
    if as_json:
        json_line(report.document)
    else:
        out = console()
        for line in report.lines:
            out.print(safe(line))
    raise typer.Exit(report.status)


class Bar(Protocol):
    """Shows how many are done."""

    def show(self, done: int) -> None:
        """So many now."""

    def close(self) -> None:
        """Give the terminal back; nothing is shown from here."""


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Bar]:
    """A bar on stderr where that is a terminal, else one that shows nothing.

    Args:
        what: stands before the bar.
        total: `None` when nobody knows.
    """
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield _NoBar()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as progress:
        yield _ProgressBar(progress, progress.add_task(what, total=total))


class _NoBar:
    def show(self, done: int) -> None:
        del done

    def close(self) -> None:
        return


class _ProgressBar:
    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress = progress
        self._task = task

    def show(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        self._progress.stop()
