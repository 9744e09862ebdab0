"""A decoded event to the messages of its targets: mapping, enrichment, gate, envelope."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import orjson

from processor.connector.passage import Failure, Parcel, Passage
from processor.errors import Code, Refused
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.gate import Gate
from processor.mapping.mapper import Failure as RuleFailure
from processor.mapping.mapper import Mapper
from processor.record import Event, Message, Position
from processor.settings import TargetSettings


class Route(NamedTuple):
    """What an entity passes on its way to one target."""

    settings: TargetSettings
    gate: Gate
    envelope: Envelope


NOTHING: frozenset[str] = frozenset()

Newer = Callable[[Position, str, bytes | None], bool]
"""Whether a source topic holds a later record than the one there that sets the state of a target
for a key, or cannot tell; as
``newer`` of a :class:`Story`."""


class Transform:
    """Makes the messages of an event.

    Args:
        routes: by target name, in the settings' order.
        newer: asked about records that are replayed from their source topic; `None`: about none.
    """

    def __init__(
        self,
        mapper: Mapper,
        enricher: Enricher,
        routes: Mapping[str, Route],
        *,
        newer: Newer | None = None,
    ) -> None:
        self._mapper = mapper
        self._enricher = enricher
        self._routes = routes
        self._newer = newer

    @property
    def failures(self) -> Mapping[RuleFailure, int]:
        """Rules that failed and gave null, in lenient mode, and how often."""
        return self._mapper.failures

    def targets_of(self, event_name: str) -> tuple[str, ...]:
        """The configured targets that an event of this name feeds."""
        return self._mapper.targets_of(event_name)

    def parcels(self, passage: Passage, event: Event) -> list[Parcel]:
        """The messages of one event; what fails is noted in the passage.

        One target's failure does not keep the others back. Of a record from a dead-letter topic,
        or one that is sent again, only what had failed is made again.
        """
        parcels: list[Parcel] = []
        passage.targets, passage.stale = (), ()
        targets = self._mapper.targets_of(event.name)
        only = passage.only or (passage.story.targets if passage.story is not None else NOTHING)
        if only:
            failed = {name.partition("#")[0] for name in only}
            targets = tuple(target for target in targets if target in failed)
        for target in targets:
            self._add(parcels, passage, event, target, only)
        return parcels

    def _add(
        self,
        parcels: list[Parcel],
        passage: Passage,
        event: Event,
        target: str,
        only: frozenset[str],
    ) -> None:
        route = self._routes[target]
        if passage.record.key is not None and self._is_stale(passage, target, None):
            passage.stale += (target,)
            return
        try:
            entities = self._mapper.map(event, target, passage.timestamp_ms)
        except Refused as error:
            passage.failures.append(Failure(target, error))
            return
        count = len(entities)
        if count:
            passage.targets += (target,)
        for index, mapped in enumerate(entities):
            name = f"{target}#{index}" if count > 1 else target
            if only and count > 1 and name not in only and target not in only:
                continue  # one alone is what failed, whatever its number was then
            if self._is_stale(passage, target, mapped.source):
                passage.stale += (name,)
                continue
            try:
                id_ = self._enricher.enrich(event, mapped, index=index, count=count)
                encoded = encode(mapped.entity)
                route.gate.check(mapped.entity, encoded)
            except Refused as error:
                passage.failures.append(Failure(name, error))
                continue
            message = Message(
                target,
                index,
                id_,
                route.envelope.wrap(encoded),
                self._order_key(passage, mapped.source, route.settings),
            )
            parcels.append(Parcel(message, passage, several=count > 1))

    def _is_stale(self, passage: Passage, target: str, source: Mapping[str, object] | None) -> bool:
        """Whether a later record may have set already what this target would be set to.

        Without a ``source``, what is mapped, only the record's key counts.
        """
        newer = passage.story.newer if passage.story is not None else self._newer_than(passage)
        ordering = self._routes[target].settings.ordering
        if newer is None or ordering == "none":
            return False
        if ordering == "partition":
            return newer(target, None)
        key = passage.record.key
        if key is None and source is not None:
            key = customer_of(source)
        return key is not None and newer(target, key)

    def _newer_than(self, passage: Passage) -> Callable[[str, bytes | None], bool] | None:
        return None if self._newer is None else partial(self._newer, passage.record.position)

    @staticmethod
    def _order_key(
        passage: Passage, source: Mapping[str, object], settings: TargetSettings
    ) -> bytes | None:
        """Messages with one key go one after the other; a record without a key: its customer."""
        if settings.ordering == "none":
            return None
        record = passage.record
        place = f"{record.topic}\x00{record.partition}\x00".encode()
        if settings.ordering == "partition":
            return place
        return place + (record.key if record.key is not None else customer_of(source))


def customer_of(source: Mapping[str, object]) -> bytes:
    """The customer id of what is mapped: of a record without a key it stands for the key."""
    identifiers = source.get("customerIdentifiers")
    customer = identifiers.get("customerId") if isinstance(identifiers, Mapping) else None
    return str(customer).encode()


def encode(entity: Mapping[str, object]) -> bytes:
    """The entity as UTF-8 JSON.

    Raises:
        Refused: a lone surrogate, or an integer beyond 64 bits, has no place in JSON.
    """
    try:
        return orjson.dumps(entity)
    except TypeError as error:
        raise Refused(
            "The mapped entity cannot be written as JSON: it holds a lone surrogate or an integer "
            "beyond 64 bits.",
            code=Code.MAPPING_TYPE,
        ) from error
