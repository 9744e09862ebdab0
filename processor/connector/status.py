"""What the connector says of itself: its state, its tasks and what they wait for.

The states are Kafka Connect's, so that whoever reads its REST API can read ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from processor.connector.heartbeat import Waiting


class ConnectorState(StrEnum):
    """What the connector is told to be; every worker follows it."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"


class TaskState(StrEnum):
    """How a task is, as any worker tells it."""

    UNASSIGNED = "UNASSIGNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    RESTARTING = "RESTARTING"


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task of any worker.

    Attributes:
        id: counted over all workers, from 0.
        worker_id: ``host:port`` of its worker's admin server.
        trace: why it failed; empty while it has not.
        waiting: why it carries nothing for now.
    """

    id: int
    state: TaskState
    worker_id: str
    trace: str = ""
    waiting: Sequence[Waiting] = ()


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """The connector over all its workers.

    Attributes:
        worker_id: of the worker that answers.
        tasks: by id; none while it is STOPPED.
    """

    name: str
    state: ConnectorState
    worker_id: str
    tasks: Sequence[TaskStatus]


class Health(Protocol):
    """How this worker is. Every call returns at once."""

    def live(self) -> bool:
        """Whether the process does its work; False asks the platform to restart it."""
        ...

    def ready(self) -> tuple[bool, list[str]]:
        """Whether records are carried, and if not, why: words without addresses or names."""
        ...

    def metrics(self) -> bytes:
        """All metrics of this worker in Prometheus' text format."""
        ...


class Worker(Health, Protocol):
    """What is asked of the running connector, and what it can be told.

    The orders reach every worker through the state topic. They return when it has acknowledged
    them, before they are obeyed.
    """

    def status(self) -> ConnectorStatus:
        """The connector and the tasks of all workers, as far as this worker has heard."""
        ...

    async def order(self, state: ConnectorState) -> None:
        """Pause, resume or stop the connector on all workers.

        Raises:
            TryAgain: the state topic cannot be written.
            Misconfigured: we may not write to it.
        """
        ...

    async def restart(self, tasks: Sequence[int], *, only_failed: bool = False) -> None:
        """Drain and start anew these tasks, wherever they run.

        Args:
            tasks: ids; those that nobody has are left out.
            only_failed: leave those alone that have not failed.

        Raises:
            TryAgain: the state topic cannot be written.
            Misconfigured: we may not write to it.
        """
        ...

    async def log_at(self, level: int, logger: str, *, everywhere: bool = False) -> None:
        """Have this worker and its tasks log so from now on, until they end.

        Args:
            level: one of the standard library's.
            logger: its name, ``root`` or of ours; all below it go along.
            everywhere: on all workers that hear it now.

        Raises:
            TryAgain: the state topic cannot be written; only with `everywhere`.
            Misconfigured: likewise, we may not write to it.
        """
        ...


class Server(Protocol):
    """What answers for the connector over HTTP, from `start` to `stop`."""

    @property
    def port(self) -> int:
        """The port that is listened on; after `start` never 0."""
        ...

    async def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            Misconfigured: the address is not ours or the port is occupied.
        """
        ...

    def drain(self) -> None:
        """Let what was begun over HTTP come to its end from now on; go on answering."""
        ...

    async def stop(self) -> None:
        """Let open requests end, and close."""
        ...
