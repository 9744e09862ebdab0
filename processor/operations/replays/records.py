"""What the state topic knows of each replay, to resume, list and cancel it (pure).

``replay/<id>`` says what it is and how far it came; ``replay-chosen/<id>/<topic>/<partition>/<n>``
which records it was to send, until it has finished. ``replay-cancel/<id>`` asks it to end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.resolutions.runs import pack, pieces, union, unpack
from processor.record import TopicPartition

REPLAY, CHOSEN, CANCEL = "replay/", "replay-chosen/", "replay-cancel/"

CANCELLED = "The replay was cancelled"
"""Why one ends that somebody cancels; who did follows."""


class Kind(StrEnum):
    """What is replayed."""

    LETTERS = "letters"
    RECORDS = "records"


class Status(StrEnum):
    """How a replay stands; one that was killed stands as running until it is resumed."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """What is known of a replay.

    Attributes:
        connector: whose records it sends.
        group: whose offsets show how far it is.
        by: ``user@host``, who began it.
        created: RFC 3339; likewise ``updated``.
        options: how it is done, by option.
        topic_ids: of the topics that it reads, as far as the broker told.
        plan: digest of the plan that it executes; empty: it was not made by one.
        chosen: how many records it was to send.
        counts: what became of them: ``delivered``, ``failed`` and ``filtered`` by code and reason …
    """

    id: str
    kind: Kind
    connector: str
    group: str
    by: str
    created: str
    options: Mapping[str, Any]
    topic_ids: Mapping[str, str]
    plan: str
    chosen: int
    status: Status = Status.RUNNING
    updated: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Of its entry."""
        return f"{REPLAY}{self.id}"

    def document(self) -> Document:
        """As the state topic holds it."""
        return {
            "kind": self.kind.value,
            "connector": self.connector,
            "group": self.group,
            "by": self.by,
            "created": self.created,
            "options": dict(self.options),
            "topic_ids": dict(self.topic_ids),
            "plan": self.plan,
            "chosen": self.chosen,
            "status": self.status.value,
            "updated": self.updated,
            "counts": dict(self.counts),
        }

    def now(self, status: Status, counts: Mapping[str, Any], *, at: str) -> "ReplayRecord":
        """The same replay, with so much more done."""
        return replace(self, status=status, counts=summed(self.counts, counts), updated=at)


def summed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of two attempts together."""
    total: dict[str, Any] = dict(one)
    for name, count in other.items():
        before = total.get(name)
        if isinstance(count, Mapping):
            total[name] = summed(before if isinstance(before, Mapping) else {}, count)
        else:
            total[name] = count + (before if isinstance(before, int) else 0)
    return total


def read_replays(entries: Iterable[Entry]) -> dict[str, ReplayRecord]:
    """The replays among entries of the state topic, by id, the oldest first."""
    found = [record for entry in entries if (record := _replay(entry)) is not None]
    return {record.id: record for record in sorted(found, key=lambda record: record.id)}


def _replay(entry: Entry) -> ReplayRecord | None:
    if not entry.key.startswith(REPLAY) or entry.document is None:
        return None
    try:
        words = {name: str(entry.document[name]) for name in _WORDS}
        return ReplayRecord(
            id=entry.key.removeprefix(REPLAY),
            kind=Kind(entry.document["kind"]),
            options=dict(entry.document["options"]),
            topic_ids=dict(entry.document["topic_ids"]),
            chosen=int(entry.document["chosen"]),
            status=Status(entry.document["status"]),
            counts=dict(entry.document["counts"]),
            **words,
        )
    except (KeyError, TypeError, ValueError):
        return None


_WORDS = ("connector", "group", "by", "created", "plan", "updated")


def chosen_entries(replay_id: str, chosen: Chosen) -> dict[str, Document]:
    """The entries that say which records a replay is to send, by key."""
    return {
        f"{CHOSEN}{replay_id}/{partition.topic}/{partition.partition}/{number}": {
            "runs": pack(piece)
        }
        for partition, offsets in chosen.by_partition.items()
        for number, piece in enumerate(pieces(offsets))
    }


def read_chosen(entries: Iterable[Entry], replay_id: str) -> Chosen:
    """Which records a replay is to send; none when it has finished.

    Raises:
        ValueError: an entry is not of this form.
    """
    sets: dict[TopicPartition, list[Offsets]] = {}
    prefix = f"{CHOSEN}{replay_id}/"
    for entry in entries:
        if entry.key.startswith(prefix) and entry.document is not None:
            topic, partition, _ = entry.key.removeprefix(prefix).rsplit("/", 2)
            offsets = unpack(str(entry.document.get("runs")))
            sets.setdefault(TopicPartition(topic, int(partition)), []).append(offsets)
    return Chosen({place: union(*offsets) for place, offsets in sorted(sets.items())})
