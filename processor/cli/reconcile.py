"""``processor reconcile``: do the books balance?"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import BOUNDS, grouped, progress_bar
from processor.cli.output import console, json_line, safe

if TYPE_CHECKING:
    from processor.operations.reconciling.books import Books, Finding
    from processor.operations.reconciling.reconcile import Report

UNPROVEN = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Examples: processor reconcile --topic capillary.events · "
        "processor reconcile --topic capillary.events:0,1 --by-duration P1D --json"
    )(reconcile)


@grouped(bounds=BOUNDS)
def reconcile(
    *,
    bounds: dict[str, Any],
    topic: Annotated[
        list[str],
        typer.Option("--topic", metavar="TOPIC[:P,…]", help="Source topic; may be repeated."),
    ],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Do the books balance for a topic and a span? Reads only Kafka; nothing is changed or sent.

    For each partition: consumed = delivered (by inference) + dead-lettered + filtered + open; open
    is what lies at or beyond the committed offset. The verdict is balanced, not balanced, or not
    provable, where Kafka alone cannot tell. With no option that says where to begin, everything
    that the topic ever held is meant. Exits with 3 unless the books balance.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions, topic_choice
    from processor.operations.reconciling.reconcile import prepare

    choices = [topic_choice("--topic", text) for text in topic]
    given = BoundOptions(**bounds)
    limits = given.read(datetime.now(UTC))
    reconciliation = prepare(settings, choices, limits, whole=not given.begins)
    with progress_bar("Reading", reconciliation.offsets) as bar:
        report = asyncio.run(reconciliation.run(bar.show))
    if as_json:
        for document in report.documents():
            json_line(document)
    else:
        out = console()
        for line in _lines(report):
            out.print(safe(line))
    if report.verdict != "balanced":
        raise typer.Exit(UNPROVEN)


def _lines(report: "Report") -> Iterator[str]:
    from processor.operations.reconciling.reconcile import sentences

    for books in report.books:
        committed = "none" if books.committed is None else books.committed
        yield (
            f"{books.partition}, offsets {books.start} to before {books.end}, "
            f"committed offset {committed}: {books.verdict}"
        )
        yield f"  {_equation(books)}"
        yield from map(_finding, books.findings)
    yield f"total: {_equation(report.total)}"
    yield from map(_finding, report.findings)
    yield f"verdict: {report.verdict}"
    yield from (f"  {sentence}" for sentence in sentences())


def _equation(books: "Books") -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(books.filtered.items()))
    unexplained = f" + unexplained {books.unexplained}" if books.unexplained else ""
    return (
        f"consumed {books.consumed} = delivered {books.delivered} (inferred) "
        f"+ dead-lettered {books.dead_lettered} + filtered {books.filtered.total()}"
        f"{f' ({reasons})' if reasons else ''} + open {books.open}{unexplained}"
    )


def _finding(finding: "Finding") -> str:
    count = f"{finding.count}: " if finding.count else ""
    first = ", ".join(map(str, finding.offsets))
    more = ", …" if finding.count > len(finding.offsets) else ""
    where = f" (offsets {first}{more})" if first else ""
    return f"  {finding.weight}: {count}{finding.message}{where}"
