"""Preflight of the schema registry: that it answers, and that we can read what it has."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import httpx

from processor.errors import Code, Misconfigured, ProcessorError, Refused
from processor.operations.checks.finding import Finding, bad, bad_by, ok, skipped
from processor.schemas.folder import EventSchema
from processor.schemas.registry import SchemaKey, SchemaRegistry, subject_name
from processor.settings import SchemaRegistrySettings

UNUSED_SCHEMA_ID = 2_147_483_647
"""The largest id that fits the wire format; only a registry that lets us in says it has none."""

SUBJECTS_S = 30.0
"""For all subjects together."""

_AT_ONCE = 8


async def check_registry(
    settings: SchemaRegistrySettings | None,
    events: Sequence[EventSchema],
    topics: Iterable[str],
    transport: httpx.AsyncBaseTransport | None,
) -> AsyncIterator[Finding]:
    """Ask for an id that no schema has, then for the latest version of each subject.

    Args:
        settings: where it is; `None`: there is none.
        events: of the schemas folder.
        topics: source topics, which subjects are named after.
        transport: instead of real connections, in tests.
    """
    subject = "schema registry"
    if settings is None:
        yield skipped(subject, "None is configured: schemas come from the folder.")
        return
    mend = "Check schema_registry.url, its ca_file and the network."
    try:
        registry = SchemaRegistry(settings, transport)
    except Misconfigured as error:
        yield bad_by(subject, error, mend)
        return
    try:
        finding = await _answers(registry, subject, mend)
        yield finding
        if finding.status == "ok":
            for one in await _subjects(registry, _named(settings, events, topics)):
                yield one
    finally:
        await registry.aclose()


async def _answers(registry: SchemaRegistry, subject: str, mend: str) -> Finding:
    try:
        await registry.fetch(SchemaKey(UNUSED_SCHEMA_ID))
    except Refused as error:
        if error.code is not Code.DECODE_UNKNOWN_SCHEMA_ID:
            return bad_by(subject, error, mend)
    except ProcessorError as error:
        return bad_by(subject, error, mend)
    return ok(subject, "answers")


def _named(
    settings: SchemaRegistrySettings, events: Sequence[EventSchema], topics: Iterable[str]
) -> dict[str, list[EventSchema]]:
    """The subjects that our schemas would have, and the events of each."""
    strategy = settings.subject_name_strategy
    found: dict[str, list[EventSchema]] = {}
    for topic in [""] if strategy == "record" else list(topics):
        for event in events:
            found.setdefault(subject_name(strategy, topic, event.parsed.name), []).append(event)
    return found


async def _subjects(
    registry: SchemaRegistry, subjects: dict[str, list[EventSchema]]
) -> list[Finding]:
    """What cannot be read, one finding each, then one that counts the others."""
    if not subjects:
        return [skipped("subjects", "Their names begin with a topic's, and none is named.")]
    free = asyncio.Semaphore(_AT_ONCE)

    async def look(subject: str, events: list[EventSchema]) -> Finding | None:
        async with free:
            return await _subject(registry, subject, events)

    try:
        async with asyncio.timeout(SUBJECTS_S):
            found = await asyncio.gather(*(look(*entry) for entry in subjects.items()))
    except ProcessorError as error:
        return [bad_by("subjects", error)]
    except TimeoutError:
        message = f"The registry did not show {len(subjects)} subjects within {SUBJECTS_S:.0f} s."
        return [skipped("subjects", message)]
    there = [finding for finding in found if finding is not None]
    wrong = [finding for finding in there if finding.status != "ok"]
    readable = len(there) - len(wrong)
    absent = len(found) - len(there)
    message = f"{readable} of {len(found)} are there and can be read"
    if absent:
        message += f"; {absent} are not there yet, or producers name them otherwise"
    return [*wrong, ok("subjects", message)]


async def _subject(
    registry: SchemaRegistry, subject: str, events: list[EventSchema]
) -> Finding | None:
    """Whether the latest version can be read as ours; `None`: the registry has no such subject."""
    try:
        latest = await registry.latest(subject)
        if latest is None:
            return None
        ours = next((event for event in events if event.parsed.answers_to(latest.name)), None)
        if ours is not None:
            latest.resolves_to(ours.parsed)
    except Refused as refused:
        return bad(
            f"subject {subject}",
            f"Records of its latest version would become dead letters: {refused}",
            "`processor schemas diff` says what changed and which rows it breaks.",
        )
    return ok(f"subject {subject}", "can be read")
