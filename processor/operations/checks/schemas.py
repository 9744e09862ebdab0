"""Preflight of schemas and mapping sets: they compile, and each has where to go."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from processor.errors import Misconfigured
from processor.mapping.mapper import Mapper
from processor.mapping.proof import prove
from processor.operations.checks.finding import Finding, bad, bad_by, ok, warning
from processor.schemas.folder import SchemaFolder, XdmSchema
from processor.settings import Settings

_NAMED_EVENTS = 5


def check_schemas(folder: SchemaFolder, settings: Settings) -> Iterator[Finding]:
    """Every schema of the folder and every mapping set, against the targets of the settings.

    Args:
        folder: as it was loaded.
        settings: tenant, targets and how mapping sets are read.
    """
    platform = settings.experience_platform
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
        yield warning(
            f"target {target}",
            f"It is not configured, so nothing is sent to it for {named}{more}.",
            f"Add [experience_platform.targets.{target}] if it should be.",
        )


def check_datasets(settings: Settings) -> Iterator[Finding]:
    """Two fragments of a profile in one dataset erase each other's fields."""
    by_dataset: defaultdict[str, list[str]] = defaultdict(list)
    for name, target in settings.experience_platform.targets.items():
        by_dataset[target.dataset_id].append(name)
    for names in by_dataset.values():
        if len(names) > 1:
            yield warning(
                f"targets {', '.join(names)}",
                "They share a dataset, where a record of one replaces the fields of the other.",
                "Give each target a dataset of its own.",
            )
