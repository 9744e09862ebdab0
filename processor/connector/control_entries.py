"""What steers all workers, and what each tells of itself, as entries of the state topic.

====================  =====================================================================
``control/state``     what the connector is told to be; obeyed from history and as news
``control/restart``   the latest order to restart tasks; obeyed as news only
``control/level``     the latest order to log otherwise; obeyed as news only
``worker/<worker>``   a worker and its tasks; told again and again, deleted at a clean stop
====================  =====================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from processor.connector.heartbeat import Waiting
from processor.connector.status import ConnectorState, TaskState
from processor.kafka.state_entry import Document, Entry, Unreadable

CONTROL = "control/"
STATE = f"{CONTROL}state"
RESTART = f"{CONTROL}restart"
LEVEL = f"{CONTROL}level"
WORKERS = "worker/"

MOST_WAITING = 10
"""Reasons that are told of one task: each partition may have one, and the entry stays small."""

MOST_TRACE = 4_096


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task as its worker tells it.

    Attributes:
        trace: why it failed; empty while it has not.
        waiting: why it carries nothing for now.
    """

    state: TaskState
    trace: str = ""
    waiting: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One worker as it tells itself.

    Attributes:
        life: drawn at its start; two processes with one name are told apart by it.
        version: of the processor.
        joined: offset of its first entry, which orders the workers; `None` before it knows.
        size: tasks that it runs while the connector is not stopped.
        tasks: those that it has, by their number on this worker.
        instance: its ``group.instance.id``; empty for none.
    """

    life: str
    version: str
    joined: int | None
    size: int
    tasks: tuple[TaskReport, ...]
    instance: str = ""

    @property
    def sending(self) -> int:
        """Tasks that send or may begin to at any time: each needs a share of the rates."""
        return self.size - sum(task.state is TaskState.FAILED for task in self.tasks)

    def document(self) -> dict[str, Any]:
        """Of its entry."""
        return {
            "life": self.life,
            "version": self.version,
            "joined": self.joined,
            "size": self.size,
            "instance": self.instance,
            "tasks": [
                {
                    "state": task.state.value,
                    "trace": task.trace[:MOST_TRACE],
                    "waiting": [
                        {"reason": w.reason, "message": w.message, "of_setup": w.of_setup}
                        for w in task.waiting[:MOST_WAITING]
                    ],
                }
                for task in self.tasks
            ],
        }


@dataclass(frozen=True, slots=True)
class RestartOrder:
    """Which tasks are to be drained and started anew.

    Attributes:
        tasks: worker and number of the task there.
        only_failed: leave those alone that have not failed.
    """

    tasks: Sequence[tuple[str, int]]
    only_failed: bool

    def document(self) -> dict[str, Any]:
        """Of its entry."""
        tasks = [{"worker": worker, "task": task} for worker, task in self.tasks]
        return {"tasks": tasks, "only_failed": self.only_failed}


def key_of_worker(worker: str) -> str:
    """Of the entry of a worker, ``host:port`` of its admin server."""
    return f"{WORKERS}{worker}"


def worker_of(entry: Entry) -> str:
    """Whose entry it is."""
    return entry.key.removeprefix(WORKERS)


def report_of(entry: Entry) -> WorkerReport:
    """What a worker tells.

    Raises:
        Unreadable: it says something else.
    """
    said = entry.document or {}
    try:
        joined = said["joined"]
        return WorkerReport(
            life=str(said["life"]),
            version=str(said["version"]),
            joined=None if joined is None else int(joined),
            size=int(said["size"]),
            instance=str(said.get("instance", "")),
            tasks=tuple(
                TaskReport(
                    TaskState(task["state"]),
                    str(task["trace"]),
                    tuple(
                        Waiting(str(w["reason"]), str(w["message"]), bool(w["of_setup"]))
                        for w in task["waiting"]
                    ),
                )
                for task in said["tasks"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("it tells of no worker") from error


def state_document(state: ConnectorState) -> Document:
    """The document of what the connector is told to be."""
    return {"state": state.value}


def state_of(entry: Entry) -> ConnectorState:
    """What the connector is told to be; RUNNING when the order was deleted.

    Raises:
        Unreadable: it says something else.
    """
    if entry.document is None:
        return ConnectorState.RUNNING
    try:
        return ConnectorState(entry.document["state"])
    except (KeyError, ValueError) as error:
        raise Unreadable("it is no state of a connector") from error


def restart_of(entry: Entry) -> RestartOrder:
    """Which tasks are to be restarted.

    Raises:
        Unreadable: it says something else.
    """
    said = entry.document or {}
    try:
        tasks = tuple((str(one["worker"]), int(one["task"])) for one in said["tasks"])
        return RestartOrder(tasks, bool(said["only_failed"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("it is no order to restart") from error


def level_document(logger: str, level: int) -> dict[str, Any]:
    """Of the order to log so."""
    return {"logger": logger, "level": level}


def level_of(entry: Entry) -> tuple[str, int]:
    """Which logger, and its level.

    Raises:
        Unreadable: it says something else.
    """
    said = entry.document or {}
    try:
        return str(said["logger"]), int(said["level"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("it is no order to log otherwise") from error
