"""What the state topic tells of a replay of a range, beyond what it tells of any replay (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen
from processor.operations.replays.ranges.pinned import Pinned, read_pinned
from processor.operations.replays.records import (
    CHOSEN,
    Kind,
    ReplayRecord,
    Status,
    chosen_entries,
    read_chosen,
    read_replays,
)

HEARD_EVERY_S = 2.0
SILENT_S = 15.0
"""A process that has written nothing for so long does not run any more."""


@dataclass(frozen=True, slots=True)
class RangeRecord:
    """A replay of a range.

    Attributes:
        base: what there is to say of every replay; its counts may lack the last seconds of a
            process that was killed: exact is what the group has committed.
        pinned: what it takes and how it is done, as :meth:`Pinned.document` tells.
        process: which process runs it, for :func:`processor.operations.own_process.is_gone`.
        run: of this attempt alone; one that goes on with it is another.
        resumed: how often somebody did.
        ended_before: records that had ended when this attempt began, by the group's offsets.
        failure: why it gave up; empty when it did not.
        cancelled_by: ``user@host``; empty: nobody.
    """

    base: ReplayRecord
    pinned: Mapping[str, Any] = field(repr=False)
    process: str
    run: str
    resumed: int = 0
    ended_before: int = 0
    failure: str = ""
    cancelled_by: str = ""

    @property
    def id(self) -> str:
        """Names it, and ends the name of its consumer group."""
        return self.base.id

    @property
    def final(self) -> bool:
        """Whether it cannot be gone on with."""
        return self.base.status in {Status.FINISHED, Status.CANCELLED}

    def document(self) -> Document:
        """As its entry holds it."""
        return {
            **self.base.document(),
            "pinned": dict(self.pinned),
            "process": self.process,
            "run": self.run,
            "resumed": self.resumed,
            "ended_before": self.ended_before,
            "failure": self.failure,
            "cancelled_by": self.cancelled_by,
        }

    def again(self, process: str, run: str, *, at: str) -> "RangeRecord":
        """The same replay, when somebody goes on with it."""
        base = replace(self.base, status=Status.RUNNING, updated=at)
        return replace(
            self, base=base, process=process, run=run, resumed=self.resumed + 1, failure=""
        )

    def beginning(self, ended_before: int) -> "RangeRecord":
        """The same replay, when it is known where this attempt begins."""
        return replace(self, ended_before=ended_before)

    def now(
        self,
        status: Status,
        counts: Mapping[str, Any],
        *,
        at: str,
        failure: str = "",
        cancelled_by: str = "",
    ) -> "RangeRecord":
        """The same replay, with so much more done."""
        base = self.base.now(status, counts, at=at)
        return replace(self, base=base, failure=failure, cancelled_by=cancelled_by)


def read_range(entry: Entry) -> RangeRecord | None:
    """The replay of an entry; `None` when it is of another kind, or damaged."""
    base = next(iter(read_replays([entry]).values()), None)
    if base is None or base.kind is not Kind.RECORDS or entry.document is None:
        return None
    document = entry.document
    try:
        process, run, failure, cancelled_by = (
            str(document[name]) for name in ("process", "run", "failure", "cancelled_by")
        )
        return RangeRecord(
            base,
            dict(document["pinned"]),
            process,
            run,
            int(document["resumed"]),
            int(document["ended_before"]),
            failure,
            cancelled_by,
        )
    except (KeyError, TypeError, ValueError):
        return None


def offset_entries(replay_id: str, pinned: Pinned) -> dict[str, Document]:
    """The entries that tell which records were chosen one by one, by key."""
    return chosen_entries(replay_id, Chosen(dict(pinned.singled_out())))


def pinned_of(found: RangeRecord, entries: Iterable[Entry]) -> Pinned:
    """What a replay takes.

    Args:
        found: the replay.
        entries: those of :func:`offset_entries`.

    Raises:
        KeyError: they do not belong together; likewise TypeError, ValueError and AttributeError.
    """
    return read_pinned(found.pinned, read_chosen(entries, found.id).by_partition.items())


def offsets_prefix(replay_id: str) -> str:
    """How the keys of :func:`offset_entries` begin."""
    return f"{CHOSEN}{replay_id}/"
