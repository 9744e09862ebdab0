"""All workers of the connector, as far as this one has heard of them (pure, but for its clock).

Times are this process's own, from when an entry was *read* here: no two hosts' clocks are ever
compared. Whoever was not heard of for `SILENT_S` is not known to run: its tasks are UNASSIGNED, and
its part of the rates goes to the others. After `FORGOTTEN_S` it is forgotten.

Silence means something only while we hear ourselves. Who was frozen, or cannot reach the state
topic, hears nobody, his own entries least of all: then nobody is forgotten, and the rates stay
divided as they were.

The tasks of all workers are counted from 0 in the order in which the workers joined, which is that
of their first entries in the topic. So every worker counts alike, and numbers change only when a
worker before them leaves for good: it stops, or is forgotten. One that dies and comes back under
its name keeps its place.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from processor.connector.control_entries import TaskReport, WorkerReport
from processor.connector.status import TaskState, TaskStatus

SILENT_S = 10.0
FORGOTTEN_S = 300.0
LAST = 2**63
"""Where a worker stands whose first entry was not read yet."""


@dataclass(slots=True)
class Member:
    """Another worker.

    Attributes:
        joined: offset of its first entry.
        read_s: when its latest entry was read, in monotonic seconds.
        alive: an entry was news: what the topic held before may be of one that is long gone.
    """

    report: WorkerReport
    joined: int
    read_s: float
    alive: bool


class Place(NamedTuple):
    """Where a task is: its worker, and its number there."""

    worker: str
    task: int


class Fleet:
    """What was heard of all workers.

    Args:
        worker: this one.
        life: of this process, as in its reports.
        clock: monotonic seconds.
    """

    def __init__(
        self, worker: str, life: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.worker = worker
        self.joined: int | None = None
        self._life = life
        self._clock = clock
        self._others: dict[str, Member] = {}
        self._heard_self_s: float | None = None
        self._hearing_since_s = clock()
        self._others_sending = 0

    def history(self, reports: Mapping[str, tuple[WorkerReport, int]]) -> None:
        """Take what the topic holds: reports by worker, with the offsets of their entries."""
        self._others.clear()
        self.joined = None
        for worker, (report, offset) in reports.items():
            joined = offset if report.joined is None else report.joined
            if worker == self.worker:
                self.joined = joined
            else:
                self._others[worker] = Member(report, joined, self._clock(), alive=False)

    def heard(self, worker: str, report: WorkerReport, offset: int) -> bool:
        """Take a report that is news; False when another process calls itself as we do."""
        now_s = self._clock()
        if worker != self.worker:
            before = self._others.get(worker)
            known = before.joined if before is not None else offset
            joined = known if report.joined is None else report.joined
            self._others[worker] = Member(report, joined, now_s, alive=True)
            return True
        if report.life != self._life:
            return False
        if self.deaf:
            self._hearing_since_s = now_s
        if self.joined is None:
            self.joined = offset
        self._heard_self_s = now_s
        return True

    def left(self, worker: str) -> None:
        """Forget a worker whose entry was deleted."""
        self._others.pop(worker, None)

    @property
    def deaf(self) -> bool:
        """Whether we do not even hear ourselves."""
        heard_s = self._heard_self_s
        return heard_s is None or self._clock() - heard_s > SILENT_S

    def forgotten(self) -> list[str]:
        """The workers that were silent for so long that their entries are to be deleted."""
        if self.deaf:
            return []
        return [
            worker
            for worker, member in self._others.items()
            if self._clock() - max(member.read_s, self._hearing_since_s) > FORGOTTEN_S
        ]

    def sending(self, own: int) -> int:
        """Among how many tasks the rates are divided; at least 1.

        Args:
            own: this worker's, that send or may begin to.
        """
        others = sum(m.report.sending for m in self._others.values() if self._is_near(m))
        # Whom we cannot hear may send all the same.
        self._others_sending = max(others, self._others_sending) if self.deaf else others
        return max(1, own + self._others_sending)

    def same_instance(self, instance: str) -> list[str]:
        """The other workers that run under this ``group.instance.id``; empty stands for none."""
        return [
            worker
            for worker, member in self._others.items()
            if instance and member.report.instance == instance and self._is_heard(member)
        ]

    def tasks(self, own: Sequence[TaskReport]) -> list[TaskStatus]:
        """The tasks of all workers by their numbers.

        Args:
            own: this worker's, as they are now.
        """
        return [
            TaskStatus(number, report.state, place.worker, report.trace, report.waiting)
            for number, (place, report) in enumerate(self._counted(own))
        ]

    def places(self, numbers: Iterable[int], own: Sequence[TaskReport]) -> list[Place]:
        """Where the tasks with these numbers are; those that nobody has are left out."""
        places = [place for place, _ in self._counted(own)]
        return [places[number] for number in numbers if 0 <= number < len(places)]

    def _counted(self, own: Sequence[TaskReport]) -> list[tuple[Place, TaskReport]]:
        mine = LAST if self.joined is None else self.joined
        workers = [(mine, self.worker, own)]
        workers += [(m.joined, w, self._shown(m)) for w, m in self._others.items()]
        return [
            (Place(worker, number), report)
            for _, worker, reports in sorted(workers, key=lambda one: one[:2])
            for number, report in enumerate(reports)
        ]

    def _shown(self, member: Member) -> Sequence[TaskReport]:
        if self._is_heard(member):
            return member.report.tasks
        return [TaskReport(TaskState.UNASSIGNED) for _ in member.report.tasks]

    def _is_heard(self, member: Member) -> bool:
        return member.alive and self._is_near(member)

    def _is_near(self, member: Member) -> bool:
        return self._clock() - member.read_s <= SILENT_S
