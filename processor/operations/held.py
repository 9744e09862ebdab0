"""What the systemic brakes of all workers hold, and letting it go, through the state topic."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from processor.connector.hold import Hold
from processor.connector.hold_entries import (
    HOLDS,
    RELEASES,
    STALE_S,
    TaskHold,
    release_of,
    task_hold_of,
)
from processor.errors import Misconfigured
from processor.kafka.state_entry import Document, Entry, Unreadable
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

WAIT_S = 30.0
LOOK_S = 1.0


class State(Protocol):
    """What is needed of the state topic."""

    def read(self, prefix: str) -> Mapping[str, Entry]:
        """The latest entry of each key that begins so."""

    def write_many(self, documents: Mapping[str, Document | None]) -> object:
        """Write entries, or delete those that are `None`."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one task holds, as its worker told it last.

    Attributes:
        heard_s: seconds since then.
    """

    what: TaskHold
    heard_s: float

    @property
    def hold(self) -> Hold:
        """The hold itself."""
        return self.what.hold

    @property
    def stale(self) -> bool:
        """Whether the worker has not told it again for so long that it is probably gone."""
        return self.heard_s > STALE_S

    @property
    def who(self) -> str:
        """Which task of which worker."""
        return f"task {self.what.task} of {self.what.worker}"

    def fields(self) -> dict[str, Any]:
        """The fields of ``processor errors list --json``."""
        heard = {"heard_s": round(self.heard_s, 1), "stale": self.stale}
        document = self.what.document()
        message = document.pop("message")
        return {**document, **heard, "message": message}


@dataclass(frozen=True, slots=True)
class Released:
    """What came of a release.

    Attributes:
        ended: what is held no more.
        gone: what a worker held that is gone; its entry is deleted.
        left: what was still held when the time was over.
    """

    ended: tuple[Held, ...]
    gone: tuple[Held, ...]
    left: tuple[Held, ...]


def held_now(state: State, *, clock: Callable[[], float] = time.time) -> list[Held]:
    """What is held, the oldest first.

    Ages are by the brokers' time, as far as this host's clock is not behind it.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    entries = state.read(HOLDS)
    now_ms = max([clock() * 1000, *(entry.timestamp_ms for entry in entries.values())])
    found: list[Held] = []
    for entry in entries.values():
        try:
            found.append(Held(task_hold_of(entry), (now_ms - entry.timestamp_ms) / 1000))
        except Unreadable as why:
            log.warning("An entry of the state topic is left alone.", why=str(why))
    return sorted(found, key=lambda held: (held.hold.since, held.what.key))


def chosen(held: Sequence[Held], kinds: Sequence[str], *, everything: bool) -> list[Held]:
    """Those of some kinds, or all.

    Raises:
        Misconfigured: nothing is chosen, or a kind does not hold.
    """
    if everything:
        return list(held)
    known = {one.hold.kind_id: f"{one.hold.code} {one.hold.target}".rstrip() for one in held}
    named = ", ".join(f"{kind} ({what})" for kind, what in known.items())
    holding = f"These hold now: {named}." if named else "Nothing holds now."
    if not kinds:
        raise Misconfigured("Which kind is to be let go?", mend=f"Name it, or --all. {holding}")
    if unknown := [kind for kind in kinds if kind not in known]:
        raise Misconfigured(f"{', '.join(unknown)} does not hold.", mend=holding)
    return [one for one in held if one.hold.kind_id in kinds]


def release(
    state: State,
    targets: Sequence[Held],
    *,
    say: Callable[[str], None],
    wait_s: float = WAIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    wall_clock: Callable[[], float] = time.time,
) -> Released:
    """Order every task to let go what some hold, and wait until they have.

    Args:
        state: the state topic.
        targets: what :func:`chosen` gave; what a worker held that is gone is only deleted.
        say: takes a line about the progress.
        wait_s: how long to wait at most.
        clock: monotonic seconds.
        sleep: waits so many seconds.
        wall_clock: seconds since 1970.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    kinds = {one.hold.kind_id: release_of(one.hold.code, one.hold.target) for one in targets}
    gone = {one.what.key: one for one in targets if one.stale}
    waiting = {one.what.key: one for one in targets if not one.stale}
    state.write_many({f"{RELEASES}{kind}": order for kind, order in kinds.items()})
    state.write_many(dict.fromkeys(gone))
    deadline_s = clock() + wait_s
    ended: list[Held] = []
    while waiting and clock() < deadline_s:
        sleep(LOOK_S)
        still = held_now(state, clock=wall_clock)
        keys = {one.what.key for one in still}
        for key in [key for key in waiting if key not in keys]:
            ended.append(waiting.pop(key))
            say(f"{ended[-1].who} has let go {ended[-1].hold.kind_id}.")
        # A task that began to hold just before the order reached it is waited for as well.
        waiting |= {
            one.what.key: one for one in still if one.hold.kind_id in kinds and not one.stale
        }
    return Released(tuple(ended), tuple(gone.values()), tuple(waiting.values()))
