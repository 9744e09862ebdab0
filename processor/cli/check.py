"""``processor check``: the preflight."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.output import console, json_line, safe
from processor.settings import Settings

BAD_VERDICT = 3
_STYLES = {"ok": "green", "warning": "yellow", "bad": "red", "skipped": "dim"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: processor check --offline --config processor.toml")(check)


def check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Only what this machine can tell without the network.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Look at the whole set-up before a start: one line each, with the mend.

    Settings, schemas and mappings; brokers, topics and rights; schema registry; clock, token and
    inlets. Nothing is written anywhere: the inlets get a request without messages. Exits with 3
    when something is bad.
    """
    settings = open_settings(config)
    if asyncio.run(_report(settings, offline=offline, json=json)):
        raise typer.Exit(BAD_VERDICT)


async def _report(settings: Settings, *, offline: bool, json: bool) -> int:
    """Print each finding as it comes; gives the number of bad ones."""
    from processor.operations.checks.check import check as preflight

    out, bad = console(), 0
    async for finding in preflight(settings, offline=offline):
        bad += finding.status == "bad"
        if json:
            json_line(asdict(finding))
            continue
        first, *others = f"{finding.message} {finding.mend}".rstrip().splitlines()
        line = safe(f"{finding.status:8}", _STYLES[finding.status])
        out.print(line.append_text(safe(f"{finding.subject}: {first}")))
        for other in others:
            out.print(safe(f"{'':8}{other}"))
    if not json:
        out.print(safe(f"{bad} bad." if bad else "Nothing stands in the way of a start."))
    return bad
