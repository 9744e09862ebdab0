"""Registers the folder's Avro schemas, under the subjects that producers and `produce` use."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from processor.errors import Misconfigured
from processor.operations.schemas.context import Context
from processor.schemas.folder import EventSchema
from processor.schemas.registry import SchemaRegistry, subject_name
from processor.settings import SchemaRegistrySettings

State = Literal["new", "new version", "there", "incompatible"]


@dataclass(frozen=True, slots=True)
class Registration:
    """One schema and one subject.

    Attributes:
        state: ``new``: the subject is not there yet; ``new version``: the subject would take it;
            ``there``: the subject has it; ``incompatible``: the subject would refuse it.
        schema_id: its id, when the registry has it.
        registered: whether this run registered it.
    """

    event: str
    subject: str
    state: State
    schema_id: int | None = None
    registered: bool = False

    def document(self) -> dict[str, Any]:
        """The registration as JSON shows it."""
        return asdict(self)


async def register_schemas(
    context: Context,
    settings: SchemaRegistrySettings,
    *,
    events: Sequence[str] = (),
    topics: Sequence[str] = (),
    execute: bool = False,
) -> list[Registration]:
    """Look up each schema, and register what is not there when `execute` says so.

    What is incompatible is left alone; the others are registered all the same.

    Args:
        context: the folder; nothing in it may be wrong.
        settings: the registry, and the strategy of subject names.
        events: their names; none: all.
        topics: what the subjects are made of, unless the strategy is ``record``.
        execute: register, instead of only looking.

    Raises:
        Misconfigured: there is no such event, no topic, or two events would share a subject; the
            registry refuses us, or is none.
        TryAgain: the registry is away.
    """
    chosen = [context.event(name) for name in dict.fromkeys(events or context.folder.events)]
    subjects = _subjects(chosen, settings, topics)
    registry = SchemaRegistry(settings)
    try:
        return [
            await _one(registry, event, subject, execute=execute) for event, subject in subjects
        ]
    finally:
        await registry.aclose()


def _subjects(
    events: Sequence[EventSchema], settings: SchemaRegistrySettings, topics: Sequence[str]
) -> list[tuple[EventSchema, str]]:
    strategy = settings.subject_name_strategy
    if strategy == "record":
        topics = [""]
    elif not topics:
        raise Misconfigured(
            f"The subject names of the strategy {strategy} need a topic, and none is given.",
            mend="Give --topic, or set kafka.topics.",
        )
    found = [
        (event, subject_name(strategy, topic, event.parsed.name))
        for topic in dict.fromkeys(topics)
        for event in events
    ]
    shared = [name for name, count in Counter(subject for _, subject in found).items() if count > 1]
    if shared:
        raise Misconfigured(
            f"The strategy {strategy} gives {len(events)} events the one subject {shared[0]}.",
            mend="Name one event, or set schema_registry.subject_name_strategy to topic_record.",
        )
    return found


async def _one(
    registry: SchemaRegistry, event: EventSchema, subject: str, *, execute: bool
) -> Registration:
    schema_id = await registry.lookup(subject, event.avro)
    if schema_id is not None:
        return Registration(event.name, subject, "there", schema_id)
    compatible = await registry.compatible(subject, event.avro)
    if compatible is False:
        return Registration(event.name, subject, "incompatible")
    state: State = "new" if compatible is None else "new version"
    if not execute:
        return Registration(event.name, subject, state)
    schema_id = await registry.register(subject, event.avro)
    return Registration(event.name, subject, state, schema_id, registered=True)
