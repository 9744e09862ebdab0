"""Whether records fail alike so often that the set-up is at fault, not they (pure).

Failing alike is the same code at the same target. Each step (decoding; mapping and gate for a
target; delivery to a target) has a window of the last ``errors.systemic_window`` records that came
through it or failed at it: one step knows sooner than the next, so they are not mixed. Records that
are left out say nothing and are in none.

Only codes that a set-up can cause are judged: a wrong registry, schema, mapping or organisation.
Bytes that cannot be read are never the set-up's doing.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from processor.errors import Code, Stage, fingerprint

QUIET_S = 60.0
QUIET_RECORDS = 10
"""On a quiet topic, so many records in so many seconds are enough to judge by."""

CODES = frozenset({Code.DECODE_UNKNOWN_SCHEMA_ID, Code.DELIVERY_REFUSED}) | {
    code for code in Code if code.stage is Stage.TRANSFORMATION
}
"""What a set-up can cause."""

Step = tuple[Stage, str]
"""A stage and the target, which is empty before any."""


class Kind(NamedTuple):
    """Failures that are alike: one code at one target; the target is empty before any."""

    code: Code
    target: str

    @property
    def id(self) -> str:
        """A stable name: the fingerprint without field and schema, 12 hexadecimal digits."""
        return fingerprint(self.code, pointer="", schema="", target=self.target)

    @property
    def step(self) -> Step:
        """Where they failed."""
        return self.code.stage, self.target


class Verdict(Enum):
    """What a failure of a kind means."""

    RECORD = "the record's fault"
    UNDECIDED = "more of them than can be chance; the records to come will tell"
    SET_UP = "the set-up's fault"


@dataclass(slots=True)
class _Run:
    """So many records in a row that passed, or failed alike."""

    kind: Kind | None
    count: int = 1


@dataclass(slots=True)
class _Window:
    """The last records of one step."""

    size: int
    since_s: float
    total: int = 0
    alike: Counter[Kind] = field(default_factory=Counter)
    runs: deque[_Run] = field(default_factory=deque)

    @property
    def calm(self) -> bool:
        """Whether it is full of sound records, so that another one changes nothing."""
        return self.total == self.size and len(self.runs) == 1 and self.runs[0].kind is None

    def add(self, kind: Kind | None) -> None:
        if self.runs and self.runs[-1].kind == kind:
            self.runs[-1].count += 1
        else:
            self.runs.append(_Run(kind))
        self.total += 1
        if kind is not None:
            self.alike[kind] += 1
        if self.total > self.size:
            self._forget_one()

    def _forget_one(self) -> None:
        oldest = self.runs[0]
        oldest.count -= 1
        if not oldest.count:
            self.runs.popleft()
        self.total -= 1
        if oldest.kind is not None:
            self.alike[oldest.kind] -= 1


@dataclass(slots=True)
class _Suspicion:
    """What came since a kind is suspected."""

    since_s: float
    records: int = 0
    alike: int = 0


class Judge:
    """Judges the failures of one task.

    Args:
        ratio: the share of a window's records that fails alike when the set-up is at fault.
        window: records.
        least: below so many records nothing is judged, but on a quiet topic.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        ratio: float,
        window: int,
        least: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._window = window
        self._least = least
        self._clock = clock
        self._windows: dict[Step, _Window] = {}
        self._suspected: dict[Kind, _Suspicion] = {}
        self._let_be: dict[Kind, int] = {}

    def sound(self, step: Step) -> None:
        """A record came through this step, or failed at it by what no set-up causes."""
        window = self._windows.get(step)
        if window is None or not window.calm or self._suspected or self._let_be:
            self._add(step, None)

    def failed(self, kind: Kind) -> Verdict:
        """A record failed so; gives whose fault that is, as far as can be seen now."""
        window = self._add(kind.step, kind)
        alike = window.alike[kind]
        if kind in self._let_be:
            return Verdict.RECORD
        if alike >= self._ratio * window.total and self._enough(window):
            return Verdict.SET_UP
        if alike <= self._least:
            return Verdict.RECORD
        if kind not in self._suspected:
            self._suspected[kind] = _Suspicion(self._clock(), 1, 1)
        return Verdict.UNDECIDED

    def share(self, kind: Kind) -> tuple[int, int]:
        """How many of how many records failed so lately."""
        window = self._windows[kind.step]
        return window.alike[kind], window.total

    def suspected(self) -> list[Kind]:
        """The kinds about which the records to come will tell."""
        return list(self._suspected)

    def drop(self, kind: Kind) -> None:
        """Whether it is suspected does not matter any more."""
        self._suspected.pop(kind, None)

    def due(self) -> list[Kind]:
        """The suspected kinds about which enough has been seen, or waited for."""
        now_s = self._clock()
        return [
            kind
            for kind, suspicion in self._suspected.items()
            if suspicion.records >= self._window or now_s >= suspicion.since_s + QUIET_S
        ]

    @property
    def ripe(self) -> bool:
        """Whether enough records came since a suspicion to decide it before its time."""
        return any(suspicion.records >= self._window for suspicion in self._suspected.values())

    @property
    def due_s(self) -> float | None:
        """When the next one is due at the latest, in monotonic seconds."""
        return min((s.since_s + QUIET_S for s in self._suspected.values()), default=None)

    def decide(self, kind: Kind) -> Verdict:
        """End the suspicion by what came since it began."""
        suspicion = self._suspected.pop(kind)
        few = suspicion.records < min(QUIET_RECORDS, self._least)
        if few or suspicion.alike < self._ratio * suspicion.records:
            return Verdict.RECORD
        return Verdict.SET_UP

    def clear(self, kind: Kind) -> None:
        """The kind is mended: what was before says nothing of what comes."""
        self._windows.pop(kind.step, None)
        self._suspected.pop(kind, None)

    def let_be(self, kind: Kind) -> None:
        """Somebody decided that it is the records' fault: believed until it is rare again."""
        self._suspected.pop(kind, None)
        self._let_be[kind] = 0

    def _enough(self, window: _Window) -> bool:
        if window.total >= self._least:
            return True
        return window.total >= QUIET_RECORDS and self._clock() - window.since_s >= QUIET_S

    def _add(self, step: Step, kind: Kind | None) -> _Window:
        window = self._windows.get(step)
        if window is None:
            window = self._windows[step] = _Window(self._window, self._clock())
        window.add(kind)
        if self._suspected:
            self._count_suspects(step, kind)
        if self._let_be:
            self._look_for_calm(window, step)
        return window

    def _count_suspects(self, step: Step, kind: Kind | None) -> None:
        for suspected, suspicion in self._suspected.items():
            if suspected.step == step:
                suspicion.records += 1
                suspicion.alike += suspected == kind

    def _look_for_calm(self, window: _Window, step: Step) -> None:
        """A kind that was let be is judged again after a whole window in which it was rare."""
        for kind in [kind for kind in self._let_be if kind.step == step]:
            rare = window.alike[kind] < self._ratio * window.total
            self._let_be[kind] = self._let_be[kind] + 1 if rare else 0
            if self._let_be[kind] >= self._window:
                del self._let_be[kind]
