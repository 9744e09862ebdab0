"""What the tasks hold, told in the state topic; and what is to be let go, heard from there.

The supervisor's event loop never waits for Kafka: entries are written on a thread of their own, and
the follower has its own. Trouble with the state topic is said once and tried again; records flow
all the same.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from processor.connector.hold import Hold
from processor.connector.hold_entries import (
    REFRESH_S,
    RELEASES,
    TaskHold,
    holds_of,
    released_kind,
)
from processor.connector.judge import Kind
from processor.errors import ProcessorError
from processor.kafka.state import StateTopic
from processor.kafka.state_entry import Document, Entry, Unreadable
from processor.kafka.state_follower import Follower, Follows
from processor.settings import Settings
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

LOOK_S = 1.0
EVERY_S = 2.0
"""A task that tries records changes what it tells all the time; no more often than this."""

AGAIN_S = 5.0
LAST_S = 2.0
"""A stop waits so long for the last entries, and not at all while the topic is in trouble."""

SETTLED_S = 5.0
"""So long after an order every task has obeyed it: who begins to hold then has judged anew."""

NEVER_S = -math.inf


class Writes(Protocol):
    """What is needed of the state topic."""

    def write_many(self, documents: Mapping[str, Document | None]) -> object:
        """Write entries, or delete those that are `None`; blocks until they are acknowledged."""


class Board:
    """What is to be told and what was, by the key of its entry (pure, but for its lock)."""

    def __init__(self) -> None:
        self._wanted: dict[int, dict[str, Document]] = {}
        self._told: dict[str, tuple[Document | None, float]] = {}
        self._lock = threading.Lock()

    @property
    def blank(self) -> bool:
        """Whether nothing of ours is in the topic, as far as we know."""
        with self._lock:
            return not self._told

    def left(self, keys: Collection[str]) -> None:
        """Note what an earlier life left behind."""
        with self._lock:
            self._told |= dict.fromkeys(keys, (None, NEVER_S))

    def wants(self, task: int, holds: Sequence[TaskHold]) -> bool:
        """Take what a task holds now; whether that is news."""
        wanted: dict[str, Document] = {hold.key: hold.document() for hold in holds}
        with self._lock:
            news = self._wanted.get(task, {}) != wanted
            self._wanted[task] = wanted
        return news

    def due(self, now_s: float) -> dict[str, Document | None]:
        """What is to be written now: what changed, what was not told for long, what has ended."""
        with self._lock:
            wanted = {key: d for of_task in self._wanted.values() for key, d in of_task.items()}
            changes: dict[str, Document | None] = {
                key: None for key in self._told if key not in wanted
            }
            for key, document in wanted.items():
                told, at_s = self._told.get(key, (None, NEVER_S))
                if told != document or now_s - at_s >= REFRESH_S:
                    changes[key] = document
            # Until it is acknowledged nobody knows what the topic says, only that it may say it.
            self._told |= dict.fromkeys(changes, (None, NEVER_S))
            return changes

    def written(self, changes: Mapping[str, Document | None], now_s: float) -> None:
        """Note what was acknowledged."""
        with self._lock:
            for key, document in changes.items():
                if document is None:
                    del self._told[key]
                else:
                    self._told[key] = document, now_s


class Holds:
    """The supervisor's end of the state topic; every method is called on its loop.

    Nothing is told before the topic was read to its end: so whoever releases what he sees here
    writes behind that, and it is heard. What was released before is history and is not obeyed.

    Args:
        let_go: called with each kind that is released from now on.
        state: writes; called on a thread of ours.
        follow: makes the follower of what begins so.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        let_go: Callable[[Kind], None],
        *,
        state: Writes | None = None,
        follow: Callable[..., Any] = Follower,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._released: dict[str, tuple[Kind, float]] = {}
        self._held: dict[int, set[str]] = {}
        self._settings = settings
        self._let_go = let_go
        self._state = state or StateTopic(settings, f"{settings.name}-supervisor")
        self._make_follower = follow
        self._clock = clock
        self._worker = ""
        self._board = Board()
        self._woken, self._closing = threading.Event(), threading.Event()
        self._troubled = False
        self._follower: Any = None
        self._thread = threading.Thread(target=self._write, name="holds", daemon=True)

    def start(self, worker: str) -> None:
        """Begin to follow, and to tell as soon as the topic was read.

        Args:
            worker: this process, ``host:port``.
        """
        self._worker = worker
        follows: Follows = self
        self._follower = self._make_follower(
            self._settings,
            f"{self._settings.name}-supervisor",
            (RELEASES, holds_of(worker)),
            follows,
            post=asyncio.get_running_loop().call_soon_threadsafe,
        )
        self._follower.start()

    @property
    def released(self) -> list[Kind]:
        """What a task that begins now is to let go.

        Not what a task has held anew since: then somebody has to decide again, or a task that dies
        in a fault of the set-up would come back and write all of it into the dead letters.
        """
        return [kind for kind, _ in self._released.values()]

    def heard(self, task: int, holdings: Sequence[Hold]) -> None:
        """Take what a task holds now; nothing when it is gone."""
        held = {hold.kind_id for hold in holdings}
        for kind_id in held - self._held.get(task, set()):
            if kind_id in self._released:
                _, at_s = self._released[kind_id]
                if self._clock() - at_s >= SETTLED_S:
                    del self._released[kind_id]
        self._held[task] = held
        if self._board.wants(task, [TaskHold(self._worker, task, hold) for hold in holdings]):
            self._woken.set()

    async def close(self) -> None:
        """Leave off; the last entries have `LAST_S` to be written."""
        self._closing.set()
        self._woken.set()
        if self._follower is not None:
            self._follower.close()
        if self._thread.is_alive() and not self._troubled and not self._board.blank:
            await asyncio.to_thread(self._thread.join, LAST_S)

    # What the follower tells.

    def history(self, entries: Mapping[str, Entry]) -> None:
        """Begin to tell; what an earlier life of this worker held it holds no more."""
        if self._thread.ident is None and not self._closing.is_set():
            self._board.left([key for key in entries if not key.startswith(RELEASES)])
            self._thread.start()

    def news(self, entry: Entry) -> None:
        """Have a kind let go."""
        if not entry.key.startswith(RELEASES) or entry.document is None:
            return
        try:
            kind = released_kind(entry)
        except Unreadable as why:
            log.warning("An order in the state topic is not obeyed.", why=str(why))
            return
        log.info("Let go what failed so.", kind=kind.id, code=kind.code, target=kind.target)
        self._released[kind.id] = kind, self._clock()
        self._let_go(kind)

    def trouble(self, message: str) -> None:
        """Say that no order is heard."""
        log.warning("Releases are not heard of for now; records flow all the same.", cause=message)

    def trouble_over(self) -> None:
        """Say that they are heard again."""
        log.info("Releases are heard of again.")

    # On the thread.

    def _write(self) -> None:
        while not self._closing.is_set():
            self._woken.wait(LOOK_S)
            self._woken.clear()
            if self._write_what_is_due():
                self._closing.wait(AGAIN_S if self._troubled else EVERY_S)
        self._write_what_is_due()

    def _write_what_is_due(self) -> bool:
        """Whether there was something to write."""
        now_s = time.monotonic()
        changes = self._board.due(now_s)
        if not changes:
            return False
        try:
            self._state.write_many(changes)
        except ProcessorError as error:
            if not self._troubled:
                log.warning(
                    "What is held cannot be told for now; records flow all the same.",
                    cause=str(error),
                )
            self._troubled = True
        else:
            self._board.written(changes, now_s)
            if self._troubled:
                log.info("What is held is told again.")
            self._troubled = False
        return True
