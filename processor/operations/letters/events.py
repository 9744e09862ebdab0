"""The events of dead letters, decoded with today's schemas by code that does not await."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from processor.errors import Filtered, Refused
from processor.operations.masking import CLEAR, Mask, names_in_avro
from processor.operations.rehearsal import Rehearsal, rehearsing
from processor.record import Event, Record
from processor.schemas.decoder import SchemaMissing
from processor.schemas.folder import SchemaFolder
from processor.settings import Settings


class EventMask:
    """Shows events, masked or revealed; the names that may be shown are found once a schema.

    Args:
        folder: holds the schema of every event.
    """

    def __init__(self, folder: SchemaFolder) -> None:
        self._folder = folder
        self._masks: dict[str, Mask] = {}

    def shown(self, event: Event | None, *, reveal: bool) -> dict[str, Any] | None:
        """The event for people; `None` when there is none."""
        if event is None:
            return None
        if reveal:
            return dict(event.body)
        mask = self._masks.get(event.name)
        if mask is None:
            names = names_in_avro(self._folder.events[event.name].avro)
            mask = self._masks[event.name] = Mask(names, CLEAR)
        return mask.document(event.body)


class Events:
    """Decodes one record after the other.

    Args:
        rehearsal: with today's schemas.
        runner: of the loop on which it was made; it turns only to ask the registry.
    """

    def __init__(self, rehearsal: Rehearsal, runner: asyncio.Runner) -> None:
        self._rehearsal = rehearsal
        self._runner = runner
        self._mask = EventMask(rehearsal.shapes.folder)

    def event(self, record: Record) -> Event | None:
        """The event, `None` when the record cannot be decoded, or the settings leave it out.

        Raises:
            TryAgain: the schema registry does not answer.
            Misconfigured: it refuses us, or the record needs one and none is configured.
        """
        try:
            try:
                return self._rehearsal.shapes.decoder.decode(record)
            except SchemaMissing:
                return self._runner.run(self._rehearsal.decode(record))
        except (Refused, Filtered):
            return None

    def shown(self, record: Record, *, reveal: bool) -> dict[str, Any] | None:
        """The event for people, masked or revealed; `None` where :meth:`event` gives it."""
        return self._mask.shown(self.event(record), reveal=reveal)


@contextmanager
def decoding(settings: Settings) -> Iterator[Events]:
    """A decoder with today's schemas; closes its connections.

    Raises:
        Misconfigured: a schema or mapping set is wrong; says every problem.
    """
    rehearsing_ = rehearsing(settings)
    with asyncio.Runner() as runner:
        rehearsal = runner.run(rehearsing_.__aenter__())
        try:
            yield Events(rehearsal, runner)
        finally:
            runner.run(rehearsing_.__aexit__(None, None, None))
