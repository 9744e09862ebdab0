"""One event through decode, mapping, enrichment and gate, without Kafka and without Adobe."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from processor.connector.transform import encode
from processor.errors import Filtered, FilterReason, Misconfigured, Refused
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.gate import Gate
from processor.experience_platform.identity import Identities
from processor.mapping.mapper import Mapped, Mapper, Trace
from processor.record import Event, Record
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.decoder import Decoder, SchemaMissing
from processor.schemas.folder import SchemaFolder
from processor.schemas.registry import SchemaRegistry
from processor.schemas.wire import SchemaKey
from processor.settings import (
    CapillarySettings,
    ConverterSettings,
    ExperiencePlatformSettings,
    GateSettings,
    IdentitySettings,
    MappingSettings,
    SchemaRegistrySettings,
    SchemasSettings,
    Settings,
    TargetSettings,
)

PLACEHOLDER_TENANT = "acme"
_RAW_SCHEMA = SchemaKey(1)
_FRAME = b"\x00\x00\x00\x00\x01"
"""Confluent's frame around raw Avro, so that it takes the same way through the decoder."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a message was or was not made.

    Attributes:
        target: the target it is for.
        index: its place among the messages of this event and target, from 0.
        message: the whole message as UTF-8 JSON; `None` when it was refused.
        refused: why there is none.
        traces: what each row did, when that was asked for.
    """

    target: str
    index: int
    id: str = ""
    message: bytes | None = field(default=None, repr=False)
    refused: Refused | None = None
    traces: Sequence[Trace] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event.

    Attributes:
        event: as it was decoded; `None` when it was not.
        refused: why decoding refused it.
        filtered: why the settings leave it out.
        makings: its messages.
    """

    event: Event | None = None
    refused: Refused | None = None
    filtered: FilterReason | None = None
    makings: tuple[Making, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether any part of it was refused."""
        return self.refused is not None or any(m.refused is not None for m in self.makings)


class Workbench:
    """Everything between a record's bytes and its messages, as the settings say.

    Args:
        settings: `None`: our own schemas, and placeholders for what only the operator knows.
        target: look at this target only.
        clock: seconds since the epoch; stands for the record's Kafka timestamp.

    Raises:
        Misconfigured: the settings, schemas or mapping sets are wrong, or there is no such target.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        target: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        schemas = settings.schemas if settings else SchemasSettings()
        self.folder = SchemaFolder.load(schemas)
        self._converter = settings.converter if settings else ConverterSettings()
        self._capillary = settings.capillary if settings else CapillarySettings()
        self._registry = settings.schema_registry if settings else None
        self._clock = clock
        platform = settings.experience_platform if settings else _placeholders(self.folder)
        targets = _chosen(platform, target)
        gate = settings.gate if settings else GateSettings()
        xdm = {name: self.folder.xdm_schema(name, chosen) for name, chosen in targets.items()}
        self._mapper = Mapper(
            self.folder,
            settings.mapping if settings else MappingSettings(),
            tenant=platform.tenant,
            targets=tuple(targets),
            xdm=xdm,
        )
        self._enricher = Enricher(Identities(settings.identity if settings else IdentitySettings()))
        self._gates = {
            name: Gate(
                name,
                xdm[name],
                gate.on_profile_limit,
                tenant=platform.tenant,
                clock=clock,
            )
            for name, chosen in targets.items()
        }
        self._envelopes = {name: Envelope(platform, chosen) for name, chosen in targets.items()}

    def writer_schema(self, given: str) -> WriterSchema:
        """The writer's schema that a person names: an event of the folder, or an Avro file.

        Raises:
            Misconfigured: it is neither, or the schema is refused.
        """
        if given in self.folder.events:
            return self.folder.events[given].parsed
        try:
            document = json.loads(Path(given).read_text(encoding="utf-8"))
            return vet(document)
        except Refused as refused:
            raise Misconfigured(f"{given}: {refused}", reason="schemas") from refused
        except (OSError, ValueError, RecursionError) as error:
            raise Misconfigured(
                f"{given} is neither an event of the schemas folder nor a readable Avro schema.",
                mend=f"The events are {', '.join(self.folder.events)}.",
                reason="schemas",
            ) from error

    def run(
        self, payload: bytes, writer: WriterSchema | None = None, *, explain: bool = False
    ) -> Outcome:
        """Carry one event as far as it goes.

        Args:
            payload: JSON, Avro in a frame, or raw Avro when `writer` is given.
            writer: the schema that raw Avro was written with.
            explain: also say what each row of the mapping sets did.

        Raises:
            Misconfigured: it needs a schema registry and none is configured.
            TryAgain: the schema registry is away.
        """
        timestamp_ms = int(self._clock() * 1000)
        try:
            event = self._decode(payload, writer, timestamp_ms)
        except Refused as refused:
            return Outcome(refused=refused)
        except Filtered as filtered:
            return Outcome(filtered=filtered.reason)
        makings: list[Making] = []
        for target in self._mapper.targets_of(event.name):
            makings += self._make(event, target, timestamp_ms, explain=explain)
        filtered_reason = None if self._mapper.targets_of(event.name) else FilterReason.NO_TARGET
        return Outcome(event, filtered=filtered_reason, makings=tuple(makings))

    def _decode(self, payload: bytes, writer: WriterSchema | None, timestamp_ms: int) -> Event:
        registry = self._registry
        known = registry is not None or writer is not None
        converter = self._converter
        if writer is not None:
            payload = _FRAME + payload
            converter = converter.model_copy(update={"value": "avro"})
        decoder = Decoder(self.folder, converter, self._capillary, registry=known)
        if writer is not None:
            decoder.learn(_RAW_SCHEMA, writer)
        record = Record("", 0, 0, timestamp_ms=timestamp_ms, value=payload)
        try:
            return decoder.decode(record)
        except SchemaMissing as missing:
            if registry is None:
                raise
            decoder.learn(missing.key, asyncio.run(_fetched(registry, missing.key)))
            return decoder.decode(record)

    def _make(self, event: Event, target: str, timestamp_ms: int, *, explain: bool) -> list[Making]:
        traces: list[list[Trace]] = []
        try:
            if explain:
                traces = self._mapper.explain(event, target, timestamp_ms)
            mapped = self._mapper.map(event, target, timestamp_ms)
        except Refused as refused:
            return [Making(target, 0, refused=refused, traces=traces[0] if traces else ())]
        return [
            self._finish(
                event,
                target,
                entity,
                index=index,
                count=len(mapped),
                traces=traces[index] if traces else (),
            )
            for index, entity in enumerate(mapped)
        ]

    def _finish(
        self,
        event: Event,
        target: str,
        mapped: Mapped,
        *,
        index: int,
        count: int,
        traces: Sequence[Trace],
    ) -> Making:
        id_ = ""
        try:
            id_ = self._enricher.enrich(event, mapped, index=index, count=count)
            encoded = encode(mapped.entity)
            self._gates[target].check(mapped.entity, encoded)
        except Refused as refused:
            return Making(target, index, id_, refused=refused, traces=traces)
        message = self._envelopes[target].wrap(encoded)
        return Making(target, index, id_, message, traces=traces)


async def _fetched(settings: SchemaRegistrySettings, key: SchemaKey) -> WriterSchema | Refused:
    registry = SchemaRegistry(settings)
    try:
        return await registry.fetch(key)
    except Refused as refused:
        return refused
    finally:
        await registry.aclose()


def _chosen(platform: ExperiencePlatformSettings, target: str | None) -> dict[str, TargetSettings]:
    if target is None:
        return platform.targets
    if target not in platform.targets:
        raise Misconfigured(
            f"There is no target {target}.",
            mend=f"The targets are: {', '.join(platform.targets) or 'none'}.",
        )
    return {target: platform.targets[target]}


def _placeholders(folder: SchemaFolder) -> ExperiencePlatformSettings:
    names = sorted({target for event in folder.events.values() for target in event.mapping_files})
    return ExperiencePlatformSettings(
        org_id="0" * 24 + "@AdobeOrg",
        tenant=PLACEHOLDER_TENANT,
        targets={
            name: TargetSettings(
                inlet_id=f"placeholder-{name}",
                dataset_id=f"placeholder-{name}",
                schema_id=f"https://ns.adobe.com/{PLACEHOLDER_TENANT}/schemas/placeholder-{name}",
            )
            for name in names
        },
    )
