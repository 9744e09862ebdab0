"""Holds and releases as entries of the state topic: who writes them, and who reads them.

========================================  =================================================
``hold/<worker>/<task>/<kind id>``        what a task holds now; written by its supervisor
``release/<kind id>``                     an order to let a kind go; written by the command
========================================  =================================================
"""

from dataclasses import dataclass
from typing import Any

from processor.connector.hold import Hold
from processor.connector.judge import Kind
from processor.errors import Code
from processor.kafka.state_entry import Document, Entry, Unreadable
from processor.record import Position

HOLDS = "hold/"
RELEASES = "release/"

REFRESH_S = 10.0
"""A hold is told again so often while it lasts."""

STALE_S = 30.0
"""Who has not told a hold again for so long is probably gone."""


@dataclass(frozen=True, slots=True)
class TaskHold:
    """What one task of one worker holds.

    Attributes:
        worker: ``host:port`` of the process's admin server, as Kafka Connect's ``worker_id``.
    """

    worker: str
    task: int
    hold: Hold

    @property
    def key(self) -> str:
        """Of its entry."""
        return f"{holds_of(self.worker)}{self.task}/{self.hold.kind_id}"

    def document(self) -> dict[str, Any]:
        """Of its entry; it says nothing of what a record holds but its coordinates."""
        hold = self.hold
        return {
            "worker": self.worker,
            "task": self.task,
            "kind": hold.kind_id,
            "code": hold.code,
            "target": hold.target,
            "since": hold.since,
            "records": hold.records,
            "first": None if hold.first is None else hold.first._asdict(),
            "probes": hold.probes,
            "message": hold.message,
        }


def holds_of(worker: str) -> str:
    """What the keys of a worker's holds begin with."""
    return f"{HOLDS}{worker}/"


def task_hold_of(entry: Entry) -> TaskHold:
    """The hold of an entry.

    Raises:
        Unreadable: it says something else.
    """
    said = entry.document or {}
    try:
        first = said["first"]
        return TaskHold(
            str(said["worker"]),
            int(said["task"]),
            Hold(
                kind_id=str(said["kind"]),
                code=str(said["code"]),
                target=str(said["target"]),
                since=str(said["since"]),
                records=int(said["records"]),
                first=None
                if first is None
                else Position(str(first["topic"]), int(first["partition"]), int(first["offset"])),
                message=str(said["message"]),
                probes=int(said["probes"]),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("it is no hold") from error


def release_of(code: str, target: str) -> Document:
    """The document of an order to let go what failed so."""
    return {"code": code, "target": target}


def released_kind(entry: Entry) -> Kind:
    """What an order lets go.

    Raises:
        Unreadable: it is no order, or of a code that this version does not have.
    """
    said = entry.document or {}
    try:
        kind = Kind(Code(said["code"]), str(said["target"]))
    except (KeyError, ValueError) as error:
        raise Unreadable("it is no release") from error
    if entry.key != f"{RELEASES}{kind.id}":
        raise Unreadable("it is the release of another kind")
    return kind
