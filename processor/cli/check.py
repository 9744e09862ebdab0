"""``processor check``: the preflight."""

import asyncio
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.output import console, json_line, safe
from processor.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from processor.operations.checks.finding import Finding

BAD_VERDICT = 3
_MARKS = {
    "ok": ("OK", "green"),
    "warning": ("WARN", "yellow"),
    "bad": ("FAIL", "bold red"),
    "skipped": ("SKIP", "dim"),
}
_INDENT = 6


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Examples: processor check · processor check --json · "
        "processor check --offline --config processor.toml"
    )(check)


def check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Only what this machine can tell without the network.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Look at the whole set-up before a start: one line each, with the mend.

    Settings, secrets, schemas and mappings; brokers, topics, every right that `run` needs, how
    dead letters are kept, lag against retention; the schema registry and its subjects; clock,
    token, inlets and their organisation. Nothing is changed anywhere: the inlets get a request
    without messages, and one that no schema lets pass, only to be validated. Exits with 3 when
    something fails.
    """
    settings = open_settings(config)
    file = config or (Path(named) if (named := os.environ.get("PROCESSOR_CONFIG")) else None)
    if asyncio.run(_report(settings, file, offline=offline, json=json)):
        raise typer.Exit(BAD_VERDICT)


async def _report(settings: Settings, file: Path | None, *, offline: bool, json: bool) -> int:
    """Print each finding as it comes; gives the number of bad ones."""
    from processor.operations.checks.check import check as preflight

    out, progress = console(), console(stderr=True)
    counts: Counter[str] = Counter()
    with progress.status("Looking at this machine …") as shown:
        async for finding in preflight(
            settings,
            offline=offline,
            settings_file=file,
            looking_at=lambda part: shown.update(f"Looking at {part} …"),
        ):
            counts[finding.status] += 1
            if json:
                json_line(asdict(finding))
            else:
                _print(out, finding)
    if not json:
        out.print(safe(_verdict(counts)))
    return counts["bad"]


def _print(out: "Console", finding: "Finding") -> None:
    first, *others = f"{finding.message} {finding.mend}".rstrip().splitlines()
    mark, style = _MARKS[finding.status]
    line = safe(f"{mark:{_INDENT}}", style)
    out.print(line.append_text(safe(f"{finding.subject}: {first}")))
    for other in others:
        out.print(safe(f"{'':{_INDENT}}{other}"))


def _verdict(counts: Counter[str]) -> str:
    warnings = counts["warning"]
    also = f" {warnings} warning{'s' * (warnings != 1)}." if warnings else ""
    if bad := counts["bad"]:
        return f"{bad} of {counts.total()} checks fail.{also}"
    return f"Nothing stands in the way of a start.{also}"
