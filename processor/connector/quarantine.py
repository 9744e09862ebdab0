"""Records at which a task's process died, counted by their place, and set aside after two deaths.

One death may be anything: a thread of a library, a bit that flipped in memory. Two at one record
are that record's doing, and its partition would not go on before it is out of the way. What is
known here lives as long as the supervisor: after its restart a record has to be found out anew.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from processor.errors import Code, Refused
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""How native code dies; a defect of ours ends the process with an exit status of its own. SIGKILL
and SIGTERM are somebody's doing: a person's, or the kernel's that runs out of memory, which says
nothing of the record at hand."""

DEATHS = 2
REMEMBERED = 1_000
"""Records that are remembered, the latest; one that is forgotten and comes again is found again."""


class Suspect(NamedTuple):
    """A record by place and time: at the same place of a topic made anew stands another one.

    Attributes:
        timestamp_ms: Kafka's, `None` when it has none.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


class Death(NamedTuple):
    """The end of a task's process while it worked on a record.

    Attributes:
        cause: the signal's name, that it had to be ended, or that it was a defect.
    """

    suspect: Suspect
    cause: str


class Quarantined(NamedTuple):
    """A record that is not decoded any more; also the order that tells a running task so."""

    suspect: Suspect
    deaths: int
    cause: str

    def refused(self) -> Refused:
        """Why it becomes a dead letter."""
        return Refused(
            f"The task's process died {self.deaths} times while it worked on this record, the last"
            f" time of {self.cause}. It was not tried again: report it with this dead letter.",
            code=Code.DECODE_CRASH,
        )


@dataclass(slots=True)
class Deaths:
    """The deaths of all tasks of a supervisor: after one, a partition may go to another task."""

    _by_suspect: dict[Suspect, list[str]] = field(default_factory=dict)

    def count(self, death: Death) -> Quarantined | None:
        """Note a death; gives what is quarantined from now on, if this was one too many."""
        causes = self._by_suspect.pop(death.suspect, [])
        self._by_suspect[death.suspect] = causes = [*causes, death.cause]
        if len(self._by_suspect) > REMEMBERED:
            del self._by_suspect[next(iter(self._by_suspect))]
        log.error(
            "A task died at a record.",
            record=str(death.suspect),
            cause=death.cause,
            deaths=len(causes),
            quarantined=len(causes) >= DEATHS,
        )
        return _quarantined(death.suspect, causes)

    @property
    def quarantined(self) -> Mapping[Suspect, Quarantined]:
        """What a task that starts now must not decode."""
        found = (_quarantined(suspect, causes) for suspect, causes in self._by_suspect.items())
        return {one.suspect: one for one in found if one is not None}


def _quarantined(suspect: Suspect, causes: Sequence[str]) -> Quarantined | None:
    if len(causes) < DEATHS:
        return None
    return Quarantined(suspect, len(causes), causes[-1])
