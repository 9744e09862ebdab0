"""The preflight: would the connector work with these settings, here and now? Changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx

from processor.errors import Misconfigured, ProcessorError
from processor.operations.checks.encryption import check_encryption
from processor.operations.checks.finding import Finding, apart, bad_by, broken, ok, skipped
from processor.operations.checks.host import (
    check_admin,
    check_kafka_properties,
    check_secrets,
    check_settings_file,
)
from processor.operations.checks.kafka import METADATA_S, check_kafka
from processor.operations.checks.platform import check_platform
from processor.operations.checks.registry import check_registry
from processor.operations.checks.schemas import check_datasets, check_schemas
from processor.schemas.folder import EventSchema, SchemaFolder
from processor.settings import Settings


async def check(
    settings: Settings,
    *,
    offline: bool,
    settings_file: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    metadata_s: float = METADATA_S,
    looking_at: Callable[[str], None] = lambda _part: None,
) -> AsyncIterator[Finding]:
    """Look at one part after the other; each finding comes as soon as it is known.

    Every request is bounded in time, and a part that fails hides no other.

    Args:
        settings: already loaded, so their own mistakes are known.
        offline: only what this machine can tell without the network.
        settings_file: where they stand, `None` when they all came from the environment.
        transport: instead of real connections over HTTP, in tests.
        metadata_s: how long to wait for a broker, in seconds.
        looking_at: told which part comes next.
    """
    yield ok("settings", f"connector {settings.name}, group {settings.group_id}")
    folder = _Folder(settings)
    properties = check_kafka_properties(settings)
    for finding in _here(settings, settings_file, folder, properties):
        yield finding
    if offline:
        yield skipped("network", "Nothing beyond this machine was asked (--offline).")
        return
    if properties.status == "ok":
        looking_at("Kafka")
        findings = apart("kafka", lambda: check_kafka(settings, metadata_s=metadata_s))
        while (found := await asyncio.to_thread(next, findings, None)) is not None:
            yield found
    looking_at("the schema registry")
    registry = check_registry(
        settings.schema_registry, folder.events, settings.kafka.topics, transport
    )
    async for finding in _apart("schema registry", registry):
        yield finding
    looking_at("IMS and Experience Platform")
    async for finding in _apart("platform", check_platform(settings, transport=transport)):
        yield finding


class _Folder:
    """The schemas folder; empty when it cannot be loaded, which the finding says."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: SchemaFolder | None = None

    @property
    def events(self) -> list[EventSchema]:
        return [] if self._loaded is None else list(self._loaded.events.values())

    def findings(self) -> Iterator[Finding]:
        try:
            self._loaded = SchemaFolder.load(self._settings.schemas)
        except Misconfigured as error:
            yield bad_by("schemas", error)
            return
        yield from check_schemas(self._loaded, self._settings)


def _here(
    settings: Settings, settings_file: Path | None, folder: _Folder, properties: Finding
) -> Iterator[Finding]:
    """What this machine can tell."""
    yield from apart("secrets", lambda: check_secrets(settings))
    if settings_file is not None:
        yield from check_settings_file(settings, settings_file)
    yield check_admin(settings.admin)
    yield from apart("schemas", folder.findings)
    yield from apart("datasets", lambda: check_datasets(settings))
    yield properties
    yield from check_encryption(settings.kafka)


async def _apart(subject: str, findings: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    """As `apart`, of findings that wait for the network."""
    try:
        async for finding in findings:
            yield finding
    except ProcessorError as error:
        yield bad_by(subject, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks are wanted too
        yield broken(subject, error)
