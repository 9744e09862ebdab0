"""At which record a task is at work, said where it outlives the task's process.

Native code that crashes leaves no exception and no time for one; a defect of ours leaves one that
does not know the record. So a task says which record it is
about to decode, map, check and encode *before* it does, in memory that it shares with its
supervisor. That costs about 0.1 µs a record.
"""

import ctypes
from collections.abc import Mapping
from multiprocessing.context import SpawnContext
from typing import Protocol

from processor.connector.quarantine import Quarantined, Suspect
from processor.record import Record

TOPIC_BYTES = 256
"""A topic's name has 249 at most; source: Kafka's ``Topic.MAX_NAME_LENGTH``."""

_NONE = -1
_OFFSET, _PARTITION, _TIMESTAMP, _TOPIC_LENGTH, _TOPIC = range(5)
_CELL_BYTES = 8
_NAME = _TOPIC * _CELL_BYTES


class LastWords(Protocol):
    """What the pipeline says around the work on one record."""

    def begin(self, record: Record) -> None:
        """The work begins.

        Raises:
            Refused: ``decode.crash``: it must not, for the process died of it before.
        """

    def end(self) -> None:
        """It is over: done, filtered or refused."""

    def stay(self) -> None:
        """A defect ends the process at this record: nothing may be said after that."""


class Unsaid:
    """Last words that nobody will hear."""

    def begin(self, record: Record) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""

    def stay(self) -> None:
        """Say nothing."""


class Slate:
    """The memory: 8-byte cells with offset, partition, timestamp and topic of one record.

    An offset of -1 says that there is none. The task alone writes. While it runs, what is read may
    be of two records; what two looks find alike, or what a dead task left, is of one.
    """

    def __init__(self, context: SpawnContext) -> None:
        """Take the memory; a process of the same context may be given this."""
        self._memory = context.RawArray(ctypes.c_longlong, _TOPIC + TOPIC_BYTES // _CELL_BYTES)
        self._memory[_OFFSET] = _NONE

    @property
    def bytes(self) -> memoryview:
        """The whole of it, to be written."""
        return memoryview(self._memory).cast("B")

    @property
    def suspect(self) -> Suspect | None:
        """The record at which the task is, or was when it died; `None`: at none."""
        offset, partition, timestamp_ms, length = self._memory[:_TOPIC]
        if offset == _NONE:
            return None
        topic = self.bytes[_NAME : _NAME + length].tobytes().decode(errors="replace")
        return Suspect(topic, partition, offset, None if timestamp_ms == _NONE else timestamp_ms)


class Written:
    """A task's last words, on a slate; and what it is told not to decode.

    Args:
        quarantined: at its start; more may be told while it runs.
    """

    def __init__(self, slate: Slate, quarantined: Mapping[Suspect, Quarantined]) -> None:
        self._bytes = slate.bytes
        self._cells = slate.bytes.cast("q")
        self._topic = ""
        self._quarantined = dict(quarantined)

    def quarantine(self, one: Quarantined) -> None:
        """Do not decode this record; may be called from any thread."""
        self._quarantined[one.suspect] = one

    def begin(self, record: Record) -> None:
        """As :class:`LastWords` says."""
        timestamp_ms = record.timestamp_ms
        if self._quarantined:
            place = Suspect(record.topic, record.partition, record.offset, timestamp_ms)
            if place in self._quarantined:
                raise self._quarantined[place].refused()
        if record.topic != self._topic:
            self._name(record.topic)
        cells = self._cells
        cells[_PARTITION] = record.partition
        cells[_TIMESTAMP] = _NONE if timestamp_ms is None else timestamp_ms
        cells[_OFFSET] = record.offset

    def end(self) -> None:
        """As :class:`LastWords` says."""
        self._cells[_OFFSET] = _NONE

    def stay(self) -> None:
        """As :class:`LastWords` says: what comes is written where nobody reads it."""
        self._bytes = memoryview(bytearray(self._bytes))
        self._cells = self._bytes.cast("q")

    def _name(self, topic: str) -> None:
        name = topic.encode()[:TOPIC_BYTES]
        self._bytes[_NAME : _NAME + len(name)] = name
        self._cells[_TOPIC_LENGTH] = len(name)
        self._topic = topic
