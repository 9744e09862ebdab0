"""``processor produce``: example events to a topic."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.options import progress_bar
from processor.cli.output import console, json_line, safe
from processor.errors import Misconfigured
from processor.settings import KafkaSettings, SchemaRegistrySettings, SchemasSettings

if TYPE_CHECKING:
    from processor.operations.produce import Encoder, Produced, Sample

SOME_FAILED = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Example: processor produce schemas/pointsIssued/examples/*/input.json "
        "--topic capillary.events --bootstrap-servers localhost:9092"
    )(produce)


def produce(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Events in JSON: one, a list, or one a line; - reads stdin.",
        ),
    ],
    *,
    topic: Annotated[str, typer.Option("--topic", metavar="T", help="Where they go.")],
    value_format: Annotated[
        Literal["avro", "json"],
        typer.Option(
            "--format",
            help="avro: with a registry in Confluent's frame, without one in single-object "
            "encoding. json: as the file has it, unchecked.",
        ),
    ] = "avro",
    registry: Annotated[
        str,
        typer.Option(
            "--registry",
            metavar="URL",
            envvar="PROCESSOR_SCHEMA_REGISTRY__URL",
            help="Schema registry; over the settings' own.",
        ),
    ] = "",
    bootstrap_servers: Annotated[
        str,
        typer.Option(
            "--bootstrap-servers",
            metavar="HOST:PORT,...",
            envvar="PROCESSOR_KAFKA__BOOTSTRAP_SERVERS",
            help="Kafka; over the settings' own.",
        ),
    ] = "",
    key_field: Annotated[
        str,
        typer.Option(
            "--key-field", metavar="PATH", help="Dotted path of the key; else the customer's id."
        ),
    ] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """Send example events to a topic, and wait until the broker has them.

    A schema that is not in the registry yet is registered. Nothing is sent when a file or an event
    of it cannot be read. Exits with 3 when the broker did not take every record.
    """
    from processor.operations.produce import produce as send
    from processor.operations.produce import read_samples

    use = _Use(config=config, bootstrap_servers=bootstrap_servers, registry=registry)
    samples = read_samples(files)
    schema_ids: dict[str, int] = {}
    encode = _encoder(samples, use, topic, schema_ids, value_format=value_format)
    with progress_bar("Sending", len(samples)) as bar:
        done = send(samples, encode, use.kafka, topic=topic, key_field=key_field, progress=bar.show)
    done.schema_ids = schema_ids
    _report(done, json=json)
    if done.failed:
        raise typer.Exit(SOME_FAILED)


class _Use:
    """The settings that this command needs: from a file when one is named, else from options."""

    def __init__(self, *, config: Path | None, bootstrap_servers: str, registry: str) -> None:
        self.schemas = SchemasSettings()
        self.registry: SchemaRegistrySettings | None = None
        if config is not None or os.environ.get("PROCESSOR_CONFIG"):
            settings = open_settings(config)
            self.kafka, self.schemas = settings.kafka, settings.schemas
            self.registry = settings.schema_registry
        elif bootstrap_servers:
            self.kafka = KafkaSettings(bootstrap_servers=bootstrap_servers)
        else:
            raise Misconfigured(
                "Nothing says where Kafka is.", mend="Give --bootstrap-servers or --config."
            )
        if bootstrap_servers:
            self.kafka = self.kafka.model_copy(update={"bootstrap_servers": bootstrap_servers})
        if registry:
            own = self.registry or SchemaRegistrySettings(url=registry)
            self.registry = own.model_copy(update={"url": registry})


def _encoder(
    samples: "Sequence[Sample]",
    use: _Use,
    topic: str,
    schema_ids: dict[str, int],
    *,
    value_format: Literal["avro", "json"],
) -> "Encoder":
    """How values are made; with a registry, the schemas are registered now."""
    from processor.operations.produce import as_confluent, as_json, as_single_object
    from processor.operations.produce import register as register_schemas
    from processor.schemas.folder import SchemaFolder
    from processor.schemas.registry import SchemaRegistry

    if value_format == "json":
        return as_json
    folder = SchemaFolder.load(use.schemas)
    if use.registry is None:
        return partial(as_single_object, folder=folder)
    settings = use.registry

    async def registered() -> dict[str, int]:
        client = SchemaRegistry(settings)
        try:
            return await register_schemas(
                samples, folder, client, topic=topic, strategy=settings.subject_name_strategy
            )
        finally:
            await client.aclose()

    schema_ids |= asyncio.run(registered())
    return partial(as_confluent, folder=folder, schema_ids=schema_ids)


def _report(done: "Produced", *, json: bool) -> None:
    if json:
        json_line(
            {
                "topic": done.topic,
                "sent": done.sent,
                "sent_bytes": done.sent_bytes,
                "failed": done.failed,
                "reasons": done.reasons,
                "events": dict(done.events),
                "schema_ids": done.schema_ids,
            }
        )
        return
    out = console()
    events = sorted(done.events.items(), key=lambda event: event[0] or "")
    what = ", ".join(f"{count} {name or 'without a name'}" for name, count in events)
    sent = _records(done.sent)
    out.print(safe(f"{sent} sent to {done.topic}" + (f": {what}." if what else ".")))
    if done.failed:
        why = "; ".join(reason.rstrip(".") for reason in done.reasons)
        console(stderr=True).print(safe(f"Not taken: {_records(done.failed)}. {why}."))


def _records(count: int) -> str:
    return f"{count} record" if count == 1 else f"{count} records"
