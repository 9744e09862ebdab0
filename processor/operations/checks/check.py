"""The preflight: would the connector work with these settings, here and now? Changes nothing."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping

import httpx

from processor.errors import Code, Misconfigured, ProcessorError, Refused
from processor.kafka.property_check import check_properties
from processor.mapping.mapper import Mapper
from processor.mapping.proof import prove
from processor.operations.checks.finding import Finding, bad, bad_by, ok
from processor.operations.checks.kafka import METADATA_S, check_kafka
from processor.operations.checks.platform import check_platform
from processor.schemas.folder import SchemaFolder, XdmSchema
from processor.schemas.registry import SchemaKey, SchemaRegistry
from processor.settings import SchemaRegistrySettings, SecretValue, Settings, client_secrets

UNUSED_SCHEMA_ID = 2_147_483_647
"""The largest id that fits the wire format; only a registry that lets us in says it has none."""

_NAMED_EVENTS = 5


async def check(
    settings: Settings,
    *,
    offline: bool,
    transport: httpx.AsyncBaseTransport | None = None,
    metadata_s: float = METADATA_S,
) -> AsyncIterator[Finding]:
    """Look at one part after the other; each finding comes as soon as it is known.

    Args:
        settings: already loaded, so their own mistakes are known.
        offline: only what this machine can tell without the network.
        transport: instead of real connections over HTTP, in tests.
        metadata_s: how long to wait for a broker, in seconds.
    """
    yield ok("settings", f"connector {settings.name}, group {settings.group_id}")
    for finding in (*_secrets(settings), *_schemas(settings), *_datasets(settings)):
        yield finding
    properties = _kafka_properties(settings)
    yield properties
    if offline:
        yield Finding("network", "skipped", "Nothing beyond this machine was asked (--offline).")
        return
    if properties.status == "ok":
        for finding in await asyncio.to_thread(
            lambda: list(check_kafka(settings, metadata_s=metadata_s))
        ):
            yield finding
    yield await _registry(settings.schema_registry, transport)
    async for finding in check_platform(settings, transport=transport):
        yield finding


def _secrets(settings: Settings) -> Iterator[Finding]:
    ims, registry, admin = settings.ims, settings.schema_registry, settings.admin
    given = {
        "schema_registry.password": (
            (registry.password, registry.password_file) if registry else (None, None)
        ),
        "admin.token": (None, admin.token_file),
        "admin.view_token": (None, admin.view_token_file),
        "admin.replay_token": (None, admin.replay_token_file),
    }
    for name, secret in client_secrets(ims).items():
        yield _secret(f"secret ims.{name}", secret)
    for key, (value, file) in given.items():
        if secret := SecretValue(value, file, key=key):
            yield _secret(f"secret {key}", secret)


def _secret(subject: str, secret: SecretValue) -> Finding:
    try:
        secret.read()
    except Misconfigured as error:
        return bad_by(subject, error)
    if secret.is_exposed():
        message = "Everybody on this host can read its file."
        return Finding(subject, "warning", message, "Give the file mode 600 or 440.")
    return ok(subject, "can be read")


def _schemas(settings: Settings) -> Iterator[Finding]:
    platform = settings.experience_platform
    try:
        folder = SchemaFolder.load(settings.schemas)
    except Misconfigured as error:
        yield bad_by("schemas", error)
        return
    yield ok("schemas", f"{len(folder.events)} events")
    xdm: dict[str, XdmSchema] = {}
    for name, target in platform.targets.items():
        subject = f"XDM schema of {name}"
        try:
            schema = folder.xdm_schema(name, target)
        except Misconfigured as error:
            yield bad_by(subject, error)
        else:
            xdm[name] = schema
            whose = "the tenant's own" if schema.tenant_owned else "our own description"
            yield ok(subject, f"{schema.source.name}, {whose}")
    try:
        Mapper(
            folder,
            settings.mapping,
            tenant=platform.tenant,
            targets=list(platform.targets),
            xdm=xdm,
        )
    except Misconfigured as error:
        yield bad_by("mapping", error)
    else:
        yield ok("mapping", "every mapping set compiles")
        yield from _against_the_tenants(folder, platform.tenant, xdm)
    yield from _not_sent(folder, settings)


def _against_the_tenants(
    folder: SchemaFolder, tenant: str, xdm: Mapping[str, XdmSchema]
) -> Iterator[Finding]:
    """Mapping sets that a tenant's own schema would refuse, record after record."""
    for event in folder.events.values():
        for target in event.mapping_files:
            if target not in xdm or not xdm[target].tenant_owned:
                continue
            proof = prove(event, target, tenant=tenant, xdm=xdm[target], destinations=True)
            if proof.problems:
                more = len(proof.problems) - 1
                rest = f" And {more} more." if more else ""
                yield bad(
                    f"mapping of {event.name} to {target}",
                    f"{proof.problems[0]}{rest}",
                    "`processor schemas check` says all of it, and what to change.",
                )


def _not_sent(folder: SchemaFolder, settings: Settings) -> Iterator[Finding]:
    """Targets that mapping sets are there for, and settings are not."""
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    for event in folder.events.values():
        for target in event.mapping_files.keys() - settings.experience_platform.targets.keys():
            left_out[target].append(event.name)
    for target, events in sorted(left_out.items()):
        named = ", ".join(sorted(events)[:_NAMED_EVENTS])
        more = f" and {len(events) - _NAMED_EVENTS} more" if len(events) > _NAMED_EVENTS else ""
        yield Finding(
            f"target {target}",
            "warning",
            f"It is not configured, so nothing is sent to it for {named}{more}.",
            f"Add [experience_platform.targets.{target}] if it should be.",
        )


def _kafka_properties(settings: Settings) -> Finding:
    subject = "Kafka properties"
    try:
        check_properties(settings.kafka)
    except Misconfigured as error:
        return bad_by(subject, error)
    return ok(subject, "librdkafka takes them")


def _datasets(settings: Settings) -> Iterator[Finding]:
    """Two fragments of a profile in one dataset erase each other's fields."""
    by_dataset: defaultdict[str, list[str]] = defaultdict(list)
    for name, target in settings.experience_platform.targets.items():
        by_dataset[target.dataset_id].append(name)
    for names in by_dataset.values():
        if len(names) > 1:
            yield Finding(
                f"targets {', '.join(names)}",
                "warning",
                "They share a dataset, where a record of one replaces the fields of the other.",
                "Give each target a dataset of its own.",
            )


async def _registry(
    settings: SchemaRegistrySettings | None, transport: httpx.AsyncBaseTransport | None
) -> Finding:
    subject = "schema registry"
    if settings is None:
        return Finding(subject, "skipped", "None is configured: schemas come from the folder.")
    mend = "Check schema_registry.url, its ca_file and the network."
    try:
        registry = SchemaRegistry(settings, transport)
    except Misconfigured as error:
        return bad_by(subject, error, mend)
    try:
        await registry.fetch(SchemaKey(UNUSED_SCHEMA_ID))
    except Refused as error:
        if error.code is not Code.DECODE_UNKNOWN_SCHEMA_ID:
            return bad_by(subject, error, mend)
    except ProcessorError as error:
        return bad_by(subject, error, mend)
    finally:
        await registry.aclose()
    return ok(subject, "answers")
