"""``replay list``, ``show`` and ``cancel``: what the state topic and Kafka tell of replays."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from processor.errors import Misconfigured
from processor.kafka.letter import now_rfc3339
from processor.kafka.state import StateTopic
from processor.kafka.state_entry import Document, Entry
from processor.operations.own_process import is_gone, user_at_host
from processor.operations.reading import Reader
from processor.operations.replays.ranges.prepare import entry_of, is_at_work
from processor.operations.replays.ranges.progress import (
    committed_by,
    ended_before,
    origins_of,
    starts_of,
)
from processor.operations.replays.ranges.records import SILENT_S, RangeRecord, pinned_of, read_range
from processor.operations.replays.records import (
    CANCEL,
    CHOSEN,
    REPLAY,
    ReplayRecord,
    Status,
    read_replays,
)
from processor.operations.replays.report import Report, counted
from processor.operations.resolutions.claiming import running
from processor.settings import Settings
from processor.settings.masking import printable

DRAINS_S = 30.0
"""Beyond its drain time-out, what a replay may take to hear of it and to write how it ended."""

LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """A replay as it is seen from outside.

    Attributes:
        status: as it stands; one whose process was killed is interrupted.
        of_range: what there is beyond the base, for one of a range.
    """

    base: ReplayRecord
    status: Status
    entry: Entry
    of_range: RangeRecord | None

    @property
    def document(self) -> dict[str, Any]:
        """For programs; what is done by somebody stands as they wrote it."""
        written = self.entry.document or {}
        pinned = dict(self.of_range.pinned) if self.of_range is not None else {}
        return {
            "replay_id": self.base.id,
            "kind": self.base.kind.value,
            "status": self.status.value,
            "group": self.base.group,
            "by": self.base.by,
            "created": self.base.created,
            "updated": self.base.updated,
            "chosen": self.base.chosen,
            "counts": dict(self.base.counts),
            "options": dict(self.base.options),
            "partitions": pinned.get("partitions"),
            "conditions": pinned.get("conditions"),
            "resumed": written.get("resumed", 0),
            "failure": written.get("failure") or None,
            "cancelled_by": written.get("cancelled_by") or None,
        }


def all_replays(settings: Settings) -> list[Seen]:
    """Every replay that the state topic knows, the oldest first.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us the state topic.
    """
    state = StateTopic(settings, f"{settings.name}-look")
    seen = _all_seen(state.read())
    if any(one.status is not one.base.status for one in seen):
        # Its process is gone now; it may have written how it ended since we read.
        seen = _all_seen(state.read())
    return sorted(seen, key=lambda one: one.base.id)


def _all_seen(entries: Mapping[str, Entry]) -> list[Seen]:
    """The replays among all entries, with the claims of those of dead letters."""
    now_ms = time.time_ns() // 1_000_000
    replays = [entry for key, entry in entries.items() if key.startswith(REPLAY)]
    seen = (_seen(entry, entries, now_ms) for entry in replays)
    return [one for one in seen if one is not None]


def _seen(entry: Entry, entries: Mapping[str, Entry], now_ms: int) -> Seen | None:
    base = next(iter(read_replays([entry]).values()), None)
    if base is None:
        return None
    of_range, status = read_range(entry), base.status
    if status is Status.RUNNING:
        if of_range is not None:
            silent = now_ms - entry.timestamp_ms > SILENT_S * 1_000
            runs = not silent and not is_gone(of_range.process)
        else:
            runs = running(entries, base.id) is not None
        status = Status.RUNNING if runs else Status.INTERRUPTED
    return Seen(base, status, entry, of_range)


def one_replay(settings: Settings, replay_id: str) -> Report:
    """One replay, with how far it is by what its group has committed.

    Raises:
        Misconfigured: there is no such replay, or Kafka refuses us.
        TryAgain: no broker answers.
    """
    found = next((r for r in all_replays(settings) if r.base.id == replay_id), None)
    if found is None:
        raise Misconfigured(
            f"There is no replay {printable(replay_id)} in {settings.state_topic}.",
            mend="`processor replay list` shows those that there are.",
        )
    progress = _progress(settings, found)
    document = {**found.document, **progress}
    return Report(document, tuple(filter(None, _told(found, progress))))


def _progress(settings: Settings, seen: Seen) -> dict[str, Any]:
    """What the group has committed, and how many of the records have ended by that."""
    committed = committed_by(settings, seen.base.group)
    offsets = [
        {"topic": topic, "partition": partition, "committed_offset": place.offset}
        for (topic, partition), place in sorted(committed.items())
    ]
    return {"committed": offsets, "ended": _ended(settings, seen)}


def _ended(settings: Settings, seen: Seen) -> int | None:
    """Records that have ended, by offsets and metadata; `None` where that cannot be told."""
    if seen.of_range is None:
        return None
    state = StateTopic(settings, f"{settings.name}-look")
    try:
        pinned = pinned_of(seen.of_range, state.read(f"{CHOSEN}{seen.base.id}/").values())
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    committed = committed_by(settings, seen.base.group)
    partitions = pinned.records.by_partition
    starts = starts_of(
        Reader(settings),
        partitions,
        origins_of(settings, pinned.topics),
        committed,
        {partition: offsets.span[0] for partition, offsets in partitions.items()},
    )
    return ended_before(pinned.records, starts)


def _told(seen: Seen, progress: Mapping[str, Any]) -> Iterator[str]:
    document = seen.document
    yield f"Replay {seen.base.id} of {seen.base.kind.value}: {seen.status.value}."
    yield f"Begun by {seen.base.by} at {seen.base.created}, last heard of at {seen.base.updated}."
    if document["resumed"]:
        yield f"Gone on with {document['resumed']} times."
    if document["cancelled_by"]:
        yield f"Cancelled by {document['cancelled_by']}."
    for row in document["partitions"] or ():
        yield counted(
            row["records"],
            f"in {row['topic']}-{row['partition']}, offsets {row['from_offset']} to before "
            f"{row['to_offset']}",
        )
    yield f"{seen.base.chosen:>9}  chosen"
    if progress["ended"] is not None:
        yield f"{progress['ended']:>9}  have ended, by the offsets of group {seen.base.group}"
    for row in progress["committed"]:
        yield f"           {row['topic']}-{row['partition']}: {row['committed_offset']} committed"
    for name, count in seen.base.counts.items():
        if isinstance(count, Mapping):
            for what, number in count.items():
                yield counted(number, f"{name.replace('_', ' ')}: {what}")
        else:
            yield counted(count, name.replace("_", " "))
    for name, value in seen.base.options.items():
        if value:
            yield f"           {name.replace('_', ' ')}: {_shown(value)}"
    yield str(document["failure"] or "")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def cancel(
    settings: Settings,
    replay_id: str,
    *,
    execute: bool,
    waiting: Callable[[str], None] = lambda _text: None,
    by: str = "",
) -> Report:
    """End a replay for good: its process drains and commits, or it is marked where none runs.

    Args:
        settings: the connector's.
        replay_id: of the replay.
        execute: do it; else only say what would be done.
        waiting: told why it takes a while.
        by: who ends it; empty: the account of this process.

    Raises:
        Misconfigured: there is no such replay, or it has ended for good, or Kafka refuses us.
        TryAgain: no broker answers.
    """
    state = StateTopic(settings, f"{settings.name}-cancel")
    entry = entry_of(state, replay_id)
    seen = _seen(entry, state.read(), time.time_ns() // 1_000_000)
    if seen is None:
        raise Misconfigured(f"What the state topic tells of replay {replay_id} cannot be read.")
    if seen.status in {Status.FINISHED, Status.CANCELLED}:
        raise Misconfigured(f"Replay {replay_id} is {seen.status.value} already.")
    document = {"execute": execute, "replay_id": replay_id, "status": seen.status.value}
    if not execute:
        said = (
            f"Replay {replay_id} is {seen.status.value}. Nothing was done: this is a dry run; "
            "--execute ends it for good: what is on its way ends and is committed."
        )
        return Report(document, (said,))
    who = by or user_at_host()
    state.write(f"{CANCEL}{replay_id}", {"by": who, "at": now_rfc3339()})
    status = _ended_by(state, seen, settings.delivery.drain_timeout_s + DRAINS_S, waiting, who)
    done = status is not None
    document["status"] = (status or seen.status).value
    lines = (
        f"Replay {replay_id} is {document['status']}."
        if done
        else f"Replay {replay_id} has heard of it or will, but has not ended yet.",
    )
    return Report(document, lines, 0 if done else 1)


def _ended_by(
    state: StateTopic, seen: Seen, within_s: float, waiting: Callable[[str], None], by: str
) -> Status | None:
    """How the replay ended once it was cancelled; `None` when it has not in time."""
    process = seen.of_range.process if seen.of_range is not None else ""
    at_work = seen.status is Status.RUNNING and is_at_work(state, seen.entry, process, waiting)
    until_s = time.monotonic() + within_s
    while at_work:
        entry = entry_of(state, seen.base.id)
        status = read_replays([entry])[seen.base.id].status
        if status is not Status.RUNNING:
            return status
        if time.monotonic() > until_s:
            return None
        at_work = not (process and is_gone(process))
        time.sleep(LOOK_EVERY_S)
    return _mark(state, seen.base.id, process, by)


def _mark(state: StateTopic, replay_id: str, process: str, by: str) -> Status:
    """Say of a replay that no process runs that it is cancelled.

    Of one that was only silent too long nobody knows that: it still is to hear that it was
    cancelled, when it goes on.
    """
    entry = entry_of(state, replay_id)
    status = read_replays([entry])[replay_id].status
    gone: dict[str, Document | None] = dict.fromkeys(state.read(f"{CHOSEN}{replay_id}/"))
    if status is not Status.RUNNING or (process and is_gone(process)):
        gone[f"{CANCEL}{replay_id}"] = None
    if status is not Status.FINISHED:
        status = Status.CANCELLED
        gone[entry.key] = {
            **(entry.document or {}),
            "status": status.value,
            "updated": now_rfc3339(),
            "cancelled_by": by,
        }
    state.write_many(gone)
    return status
