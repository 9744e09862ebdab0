"""Why the task waits: what is away or wrong, since when; readiness and the log speak from here."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from processor.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pause:
    """One reason to wait.

    Attributes:
        reason: from a small set that is a metric label, such as ``ims`` or ``kafka``.
        message: what happened, to what, and what to do.
        since_s: monotonic seconds.
        of_setup: a person has to mend something; else it passes by itself.
    """

    reason: str
    message: str
    since_s: float
    of_setup: bool


class Pauses:
    """The reasons to wait that hold now, each with whom it concerns."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[tuple[str, str], Pause] = {}
        self.seen: set[str] = set()

    def begin(self, reason: str, message: str, *, who: str = "", of_setup: bool = False) -> None:
        """Say that ``who`` (a target, a partition, or everything) waits; logged once."""
        held = self._held.get((reason, who))
        if held is not None and held.message == message:
            return
        since_s = self._clock() if held is None else held.since_s
        self._held[reason, who] = Pause(reason, message, since_s, of_setup)
        self.seen.add(reason)
        if held is None:
            log.warning("Paused; nothing is lost.", reason=reason, who=who, cause=message)

    def end(self, reason: str, *, who: str = "") -> None:
        """Say that ``who`` goes on; logged once."""
        held = self._held.pop((reason, who), None)
        if held is not None:
            waited_s = round(self._clock() - held.since_s, 1)
            log.info("Resumed.", reason=reason, who=who, waited_s=waited_s)

    def end_all_of(self, who: str) -> None:
        """Say that nothing keeps ``who`` waiting any more."""
        for reason, held_by in list(self._held):
            if held_by == who:
                self.end(reason, who=who)

    def holds(self, reason: str) -> bool:
        """Whether anybody waits for this reason."""
        return any(held_for == reason for held_for, _ in self._held)

    def active(self) -> tuple[Pause, ...]:
        """The pauses that hold now, oldest first."""
        return tuple(sorted(self._held.values(), key=lambda pause: pause.since_s))

    def longest_s(self) -> float:
        """Seconds since the oldest pause began; 0.0 when none holds."""
        held = self.active()
        return self._clock() - held[0].since_s if held else 0.0
