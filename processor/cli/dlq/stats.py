"""``processor dlq topics|stats``: dead letters counted by topic, and by kind of failure."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import BOUNDS, LETTERS, LOOK, grouped, progress_bar, say
from processor.cli.output import console, json_line, safe, tab_line

if TYPE_CHECKING:
    from processor.operations.letters.stats import Stats

PLAIN = (
    "count",
    "fingerprint",
    "code",
    "targets",
    "events",
    "schema_ids",
    "first_seen",
    "last_seen",
    "sample",
    "message",
    "mend",
)
"""Fields of a line when stdout is no terminal, separated by tabs."""

DAY_MS = 86_400_000
PLAIN_TOPICS = (
    "topic",
    "partitions",
    "letters",
    "of_other_connectors",
    "not_letters",
    "first",
    "last",
    "retention_ms",
    "bytes",
    "source_topics",
)


def register(dlq: typer.Typer) -> None:
    """Add the commands."""
    dlq.command("topics", epilog="Example: processor dlq topics --json")(topics)
    dlq.command(
        "stats",
        epilog="Examples: processor dlq stats · "
        "processor dlq stats --stage transformation --by-duration P1D --json",
    )(stats)


def topics(
    *,
    config: Config = None,
    all_connectors: Annotated[
        bool,
        typer.Option("--all-connectors", help="Count other connectors' letters as letters too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Count what the dead-letter topics of this connector hold; looks at every record.

    A topic that does not exist yet has no partitions. Bytes are those of keys and values.
    """
    settings = open_settings(config)
    from processor.operations.letters.topics import LetterTopics

    found = LetterTopics(settings, all_connectors=all_connectors)
    with progress_bar("Counting", found.offsets) as bar:
        found.count(bar.show)
    rows = [topic.fields() for topic in found.topics]
    if as_json:
        for row in rows:
            json_line(row)
    elif console().is_terminal:
        console().print(_topics_table(rows))
    else:
        tab_line(name.upper() for name in PLAIN_TOPICS)
        for row in rows:
            tab_line(row[name] for name in PLAIN_TOPICS)


@grouped(letters=LETTERS, bounds=BOUNDS, look=LOOK)
def stats(
    *,
    letters: dict[str, Any],
    bounds: dict[str, Any],
    look: dict[str, Any],
    config: Config = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many kinds; 0 shows all.")] = 50,
    as_json: Json = False,
) -> None:
    """Count dead letters by kind of failure, the most frequent first, with what mends each.

    A kind is a fingerprint: step, code, field, schema and target. Its sample is the latest letter.
    """
    settings = open_settings(config)
    from processor.operations.bounds import BoundOptions
    from processor.operations.letters.done import LettersDone
    from processor.operations.letters.meant import LookOptions, selecting
    from processor.operations.letters.options import LetterOptions
    from processor.operations.letters.stats import stats_of

    limits = BoundOptions(**bounds).read(datetime.now(UTC))
    wanted = LookOptions(LetterOptions(**letters), limits, **look)
    with selecting(settings, wanted, done=LettersDone(settings)) as chosen:
        with progress_bar("Counting", chosen.offsets) as bar:
            found = stats_of(chosen, bar.show)
        _print(found, limit=limit, as_json=as_json)
        say(found.summary())
        for note in chosen.notes():
            say(note)


def _print(found: "Stats", *, limit: int, as_json: bool) -> None:
    kinds = found.kinds()
    rows = [kind.fields() for kind in (kinds[:limit] if limit else kinds)]
    if found.others:
        rows.append(found.others_fields())
    out = console()
    if as_json:
        for row in rows:
            json_line(row)
    elif not out.is_terminal:
        tab_line(name.upper() for name in PLAIN)
        for row in rows:
            tab_line(_place(row[name]) if name == "sample" else row[name] for name in PLAIN)
    elif rows:
        out.print(_table(rows))
    more = len(kinds) - limit
    if limit and more > 0:
        say(f"{more} {'kind' if more == 1 else 'kinds'} more: --limit 0 shows all.")


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Letters", justify="right", no_wrap=True)
    table.add_column("Kind of failure", overflow="fold", ratio=1)
    table.add_column("Seen", no_wrap=True)
    for row in rows:
        words = (row["code"], *row["targets"], *row["events"])
        table.add_row(
            str(row["count"]),
            Text("\n").join(
                [
                    safe(" · ".join(filter(None, words)), "bold"),
                    safe(row["message"]),
                    safe(row["mend"] or "", "green"),
                    safe(f"fingerprint {row['fingerprint']} · {_place(row['sample'])}", "dim"),
                ]
            ),
            _lines(row["first_seen"], row["last_seen"]),
        )
    return table


def _topics_table(rows: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Topic", overflow="fold", ratio=1)
    table.add_column("Letters", justify="right", no_wrap=True)
    table.add_column("Others", justify="right", no_wrap=True)
    table.add_column("First and last", no_wrap=True)
    table.add_column("Bytes", justify="right", no_wrap=True)
    for row in rows:
        sources = f"of {', '.join(row['source_topics'])}" if row["source_topics"] else ""
        kept = f"kept {_days(row['retention_ms'])}"
        what = " · ".join(filter(None, (f"{row['partitions']} partitions", kept, sources)))
        table.add_row(
            Text("\n").join([safe(row["topic"], "bold"), safe(what, "dim")]),
            str(row["letters"]),
            str(row["of_other_connectors"] + row["not_letters"]),
            _lines(row["first"], row["last"]),
            _text(row["bytes"]),
        )
    return table


def _days(retention_ms: int | None) -> str:
    """How long a topic keeps its records, in words."""
    if retention_ms is None:
        return "nobody knows how long"
    if retention_ms < 0:
        return "for ever"
    return f"{retention_ms / DAY_MS:g} days"


def _lines(*values: str | None) -> Text:
    return Text("\n").join(safe(value) for value in values if value)


def _text(value: Any) -> Text:
    if isinstance(value, list):
        return safe(", ".join(value))
    return safe("-" if value is None else value)


def _place(sample: dict[str, Any] | None) -> str:
    return "-" if sample is None else " ".join(map(str, sample.values()))
