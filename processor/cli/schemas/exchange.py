"""``processor schemas register`` and ``fetch``: Avro to a registry, XDM schemas from Adobe."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import Execute
from processor.cli.output import console, json_line, safe
from processor.cli.schemas.settings import settings_if_any
from processor.errors import Misconfigured
from processor.settings import SchemaRegistrySettings, Settings

SOME_FAILED = 3
_DONE = {"new": "registered", "new version": "registered as a new version"}
_WOULD = {"new": "would be registered", "new version": "would be registered as a new version"}


def register(schemas: typer.Typer) -> None:
    """Add the commands."""
    schemas.command(
        "register",
        epilog="Examples: processor schemas register · "
        "processor schemas register pointsIssued --topic capillary.events --execute --json",
    )(register_)
    schemas.command(
        epilog="Examples: processor schemas fetch · processor schemas fetch --force --json"
    )(fetch)


def register_(
    events: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT…]", help="These only; else all.")
    ] = None,
    *,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="T", help="Topic of the subject names; else kafka.topics."),
    ] = None,
    registry: Annotated[
        str,
        typer.Option(
            "--registry",
            metavar="URL",
            envvar="PROCESSOR_SCHEMA_REGISTRY__URL",
            help="Schema registry; over the settings' own.",
        ),
    ] = "",
    execute: Execute = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Register the events' Avro schemas in the schema registry.

    Subjects are named by schema_registry.subject_name_strategy, as `processor produce` names them.
    Says of each schema whether it is there, new, or incompatible with an earlier version; with
    --execute it registers what is new. Exits with 3 when one is incompatible.
    """
    from processor.operations.schemas.context import Context
    from processor.operations.schemas.register import register_schemas

    settings = settings_if_any(config)
    topics = topic or (settings.kafka.topics if settings else [])
    found = asyncio.run(
        register_schemas(
            Context.whole(settings),
            _registry(settings, registry),
            events=events or [],
            topics=topics,
            execute=execute,
        )
    )
    for one in found:
        if json:
            json_line(one.document())
            continue
        told = (_DONE if one.registered else _WOULD).get(one.state, "there already")
        if one.state == "incompatible":
            told = "incompatible with the subject's earlier versions"
        number = f", id {one.schema_id}" if one.schema_id is not None else ""
        console().print(safe(f"{one.event}: {one.subject}: {told}{number}"))
    if not execute and not json and any(one.state in _WOULD for one in found):
        console(stderr=True).print("Nothing is registered yet: add --execute.")
    if any(one.state == "incompatible" for one in found):
        if not json:
            console(stderr=True).print("`processor schemas diff` says what a version changes.")
        raise typer.Exit(SOME_FAILED)


def fetch(
    *,
    schema_id: Annotated[
        str,
        typer.Option(
            "--schema-id", metavar="ID", help="This schema only, by its $id; else every target's."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", help="Where to write; else xdm in schemas.directory."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that holds something else.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Fetch the XDM schemas of the configured targets from the tenant's Schema Registry API.

    In xdm of schemas.directory the gate finds each by its $id, and is strict from then on;
    elsewhere the settings have to name the file, and the line for them is printed.
    """
    settings = open_settings(config)
    from processor.operations.schemas.fetch import fetch_schemas

    fetched = asyncio.run(fetch_schemas(settings, schema_id=schema_id, output=output, force=force))
    out = console()
    for one in fetched:
        if json:
            json_line(one.document())
            continue
        whose = f" ({', '.join(one.targets)})" if one.targets else ""
        out.print(safe(f"{one.title or one.schema_id}{whose}: {one.file}: {one.state}"))
        for line in one.setting.splitlines():
            out.print(safe(f"  {line}"))


def _registry(settings: Settings | None, url: str) -> SchemaRegistrySettings:
    own = settings.schema_registry if settings else None
    if url:
        own = own or SchemaRegistrySettings(url=url)
        return own.model_copy(update={"url": url})
    if own is None:
        raise Misconfigured(
            "Nothing says where the schema registry is.",
            mend="Give --registry, or set schema_registry.url.",
        )
    return own
