"""Writes entries of the state topic for an event loop, which never waits for Kafka."""

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from processor.kafka.state_entry import Document

Changes = Mapping[str, Document | None]
Written = asyncio.Future[Mapping[str, int]]


class Writes(Protocol):
    """What is needed of the state topic."""

    def write_many(self, documents: Changes) -> Mapping[str, int]:
        """Write entries, or delete those that are `None`; blocks until they are acknowledged."""


class Scribe:
    """A thread that writes what it is handed, in that order; no process waits for it to end.

    Args:
        state: called on the thread alone.
    """

    def __init__(self, state: Writes) -> None:
        self._state = state
        self._handed: queue.SimpleQueue[
            tuple[Changes, Written, asyncio.AbstractEventLoop] | None
        ] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)

    def write(self, documents: Changes) -> Written:
        """Have these written; the offsets by key come when they are acknowledged.

        The future raises what :class:`processor.kafka.state.StateTopic` raises.
        """
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        written: Written = loop.create_future()
        self._handed.put((documents, written, loop))
        return written

    def close(self) -> None:
        """Have the thread end after what it was handed."""
        self._handed.put(None)

    def _run(self) -> None:
        while (handed := self._handed.get()) is not None:
            documents, written, loop = handed
            settle: Callable[[], None]
            try:
                settle = partial(_settle, written, self._state.write_many(documents))
            except Exception as error:  # noqa: BLE001 - its future raises it
                settle = partial(_fail, written, error)
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                return  # the loop is gone


def _settle(written: Written, offsets: Mapping[str, int]) -> None:
    if not written.done():
        written.set_result(offsets)


def _fail(written: Written, error: Exception) -> None:
    if not written.done():
        written.set_exception(error)
