"""Builds the machine of one task from the settings; the only place that knows every class."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from processor.connector.backoff import Backoff
from processor.connector.books import BooksCollector, RuleFailuresCollector
from processor.connector.brake import Brake
from processor.connector.chains import Ordered
from processor.connector.courier import Courier, Share
from processor.connector.delivery import Inlet
from processor.connector.graveyard import DeadLetters, Names
from processor.connector.judge import Judge
from processor.connector.last_words import LastWords
from processor.connector.ledger import Ending, Ledger
from processor.connector.passage import Passage, Story
from processor.connector.pauses import Pauses
from processor.connector.pipeline import Pipeline
from processor.connector.schema_waiting import NoRegistry, SchemaWaiting
from processor.connector.transform import Newer, Route, Transform
from processor.connector.turns import Turns
from processor.connector.valve import IN_FLIGHT_BYTES, MADE_BYTES, Valve, most_in_flight
from processor.experience_platform.client import Collection
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.gate import Gate
from processor.experience_platform.identity import Identities
from processor.experience_platform.ims import ImsTokens
from processor.kafka.dead_letters import DeadLetterWriter
from processor.kafka.topics import Topics
from processor.mapping.mapper import Mapper
from processor.record import Record, TopicPartition
from processor.schemas.decoder import Decoder
from processor.schemas.folder import SchemaFolder
from processor.schemas.registry import SchemaRegistry
from processor.settings import Settings
from processor.telemetry.exporting import open_spans
from processor.telemetry.metrics import TaskMetrics


@dataclass(frozen=True, slots=True)
class Wiring:
    """How one task's machine differs from another's.

    Attributes:
        client_id: of its Kafka clients.
        share: of the connector's rates at first, such as 0.5 for one of two tasks.
        turn: called with whether more records are wanted.
        rest: called with the partitions of which no more are wanted.
        brakes: whether records that fail alike are held; who replays sees how they fail.
        read_story: for records of a dead-letter topic, what they say of their first life.
        last_words: told which record is worked on; `None`: nobody would hear them.
        stop_at_fault: called instead of writing a dead letter, when the settings want that.
        ended: called for each record that has ended, and how.
        newer: for records of a source topic, whether it holds a later one; `None`: nobody asks.
        id_label: not empty: every ``_id`` is a fresh one, made of the usual one and this.
        max_made_bytes: of messages that are made ahead.
    """

    names: Names
    client_id: str
    share: float
    turn: Callable[[bool], None]
    rest: Callable[[Iterable[TopicPartition]], None] = lambda _partitions: None
    brakes: bool = True
    read_story: Callable[[Record], Story | None] = lambda _record: None
    last_words: LastWords | None = None
    stop_at_fault: Callable[[Passage], None] | None = None
    ended: Callable[[Passage, Ending], None] | None = None
    newer: Newer | None = None
    id_label: str = ""
    max_made_bytes: int = MADE_BYTES


@dataclass(frozen=True, slots=True)
class Machine:
    """The parts of a task, ready to run.

    Attributes:
        share: of the connector's rates; may be changed while it runs.
    """

    ledger: Ledger
    pipeline: Pipeline
    inlets: Mapping[str, Inlet]
    pauses: Pauses
    metrics: TaskMetrics
    tokens: ImsTokens
    brake: Brake | None
    share: Share
    _courier: Courier
    _waiting: SchemaWaiting
    _letters: DeadLetters
    _writer: DeadLetterWriter
    _registry: SchemaRegistry | None
    _turns: Turns

    async def run(self) -> None:
        """Turn until cancelled.

        Raises:
            ExceptionGroup: a defect; trouble of the outside world never ends the machine.
        """
        async with asyncio.TaskGroup() as parts:
            for inlet in self.inlets.values():
                parts.create_task(inlet.run())
            parts.create_task(self._waiting.run())
            parts.create_task(self._letters.run())
            parts.create_task(self._turns.run())
            if self.brake is not None:
                parts.create_task(self.brake.run(self.pipeline))

    def drain(self, *, draining: bool = True) -> None:
        """Send what was collected without waiting for more."""
        for inlet in self.inlets.values():
            inlet.drain(draining=draining)
        if draining and self.brake is not None:
            self.brake.hurry()

    def note_token(self) -> None:
        """Bring the token's metrics up to date."""
        status = self.tokens.status()
        self.metrics.token_expires_in_seconds.set(status.expires_in_s or 0.0)

    async def aclose(self) -> None:
        """Close the connections; letters on their way get two seconds."""
        await asyncio.to_thread(self._writer.close, 2.0)
        await self._courier.aclose()
        if self._registry is not None:
            await self._registry.aclose()


@dataclass(frozen=True, slots=True)
class Shaping:
    """What turns a record into messages; needs no connection."""

    folder: SchemaFolder
    decoder: Decoder
    transform: Transform
    routes: Mapping[str, Route]


def shaping(settings: Settings, *, newer: Newer | None = None, id_label: str = "") -> Shaping:
    """Load and compile the schemas, mapping sets and gates that the settings name.

    Args:
        settings: the connector's.
        newer: as in :class:`Wiring`.
        id_label: likewise.

    Raises:
        Misconfigured: a schema or mapping set is wrong; says every problem.
    """
    platform = settings.experience_platform
    folder = SchemaFolder.load(settings.schemas)
    schemas = {name: folder.xdm_schema(name, target) for name, target in platform.targets.items()}
    mapper = Mapper(
        folder, settings.mapping, tenant=platform.tenant, targets=platform.targets, xdm=schemas
    )
    routes = {
        name: Route(
            target,
            Gate(
                name,
                schemas[name],
                settings.gate.on_profile_limit,
                tenant=platform.tenant,
            ),
            Envelope(platform, target),
        )
        for name, target in platform.targets.items()
    }
    decoder = Decoder(
        folder,
        settings.converter,
        settings.capillary,
        registry=settings.schema_registry is not None,
    )
    enricher = Enricher(Identities(settings.identity), label=id_label)
    transform = Transform(mapper, enricher, routes, newer=newer)
    return Shaping(folder, decoder, transform, routes)


def build(settings: Settings, wiring: Wiring) -> Machine:
    """Build the machine of one task; must be called on its event loop.

    Raises:
        Misconfigured: as :func:`shaping`.
    """
    shapes = shaping(settings, newer=wiring.newer, id_label=wiring.id_label)
    ledger, pauses, metrics = Ledger(), Pauses(), TaskMetrics()
    metrics.registry.register(BooksCollector(ledger))
    metrics.registry.register(RuleFailuresCollector(shapes.transform.failures))
    backoff, share = Backoff(settings.errors.retry_delay_max_s), Share(wiring.share)
    tokens = ImsTokens(
        settings.ims, on_refresh=lambda outcome: metrics.token_refresh.labels(outcome).inc()
    )
    courier = Courier(
        tokens,
        Collection(
            settings.experience_platform, settings.delivery, client_id=settings.ims.client_id
        ),
        settings.delivery,
        share=share,
        backoff=backoff,
        pauses=pauses,
        metrics=metrics,
        spans=open_spans(settings.name),
    )
    registry = (
        SchemaRegistry(settings.schema_registry) if settings.schema_registry is not None else None
    )
    ordered = Ordered.of(r.settings.ordering for r in shapes.routes.values())
    waiting = SchemaWaiting(
        registry or NoRegistry(),
        shapes.decoder.learn,
        grace_s=settings.schema_registry.unknown_id_grace_s if settings.schema_registry else 0.0,
        ordered=ordered,
        backoff=backoff,
        pauses=pauses,
    )
    writer = DeadLetterWriter(settings.kafka, wiring.client_id)

    def wanted(passage: Passage) -> bool:
        return ledger.is_current(passage.partition, passage.epoch)

    letters = DeadLetters(
        writer,
        Topics(settings.kafka, settings.errors, wiring.client_id),
        wiring.names,
        wanted=wanted,
        backoff=backoff,
        pauses=pauses,
        metrics=metrics,
    )
    brake = None
    if wiring.brakes:
        errors = settings.errors
        judge = Judge(
            ratio=errors.systemic_ratio, window=errors.systemic_window, least=errors.systemic_min
        )
        brake = Brake(
            judge,
            ordered=ordered,
            room=most_in_flight(settings.delivery) // 2,
            backoff=backoff,
            pauses=pauses,
        )
    inlets: dict[str, Inlet] = {}
    turns = Turns()

    def delivered(timestamp_ms: int) -> None:
        metrics.end_to_end.observe(time.time() - timestamp_ms / 1000)

    pipeline = Pipeline(
        ledger=ledger,
        decoder=shapes.decoder,
        transform=shapes.transform,
        inlets=inlets,
        graveyard=letters,
        waiting=waiting,
        valve=Valve(
            ledger,
            max_records=most_in_flight(settings.delivery),
            max_bytes=IN_FLIGHT_BYTES,
            max_made_bytes=wiring.max_made_bytes,
            turn=wiring.turn,
            rest=wiring.rest,
            shut=lambda: brake is not None and brake.on,
        ),
        delivered=delivered,
        brake=brake,
        read_story=wiring.read_story,
        last_words=wiring.last_words,
        stop_at_fault=wiring.stop_at_fault,
        later=turns.later,
        ended=wiring.ended,
        unmapped=lambda event_name: metrics.unmapped_events.labels(event_name).inc(),
    )
    for name, route in shapes.routes.items():
        inlets[name] = Inlet(
            name,
            route.settings,
            settings.delivery,
            envelope=route.envelope,
            courier=courier,
            share=share,
            outcome=pipeline.outcome,
            wanted=lambda parcel: wanted(parcel.passage),
            backoff=backoff,
            pauses=pauses,
            metrics=metrics,
        )
    return Machine(
        ledger,
        pipeline,
        inlets,
        pauses,
        metrics,
        tokens,
        brake,
        share,
        courier,
        waiting,
        letters,
        writer,
        registry,
        turns,
    )
