"""Chooses the records of a replay: by options, by a plan, or those of one that was not finished."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from processor.errors import Misconfigured
from processor.kafka.state import StateTopic
from processor.kafka.state_entry import Entry
from processor.operations.bounds import BoundOptions, topic_choice
from processor.operations.letters.options import keys
from processor.operations.own_process import is_gone
from processor.operations.reading import Reader, Spans
from processor.operations.rehearsal import rehearsing
from processor.operations.replays.ranges.manner import Manner, settings_of
from processor.operations.replays.ranges.pinned import (
    Pinned,
    require_same_place,
    require_same_topics,
)
from processor.operations.replays.ranges.plan_file import load
from processor.operations.replays.ranges.progress import origins_of
from processor.operations.replays.ranges.records import (
    SILENT_S,
    offsets_prefix,
    pinned_of,
    read_range,
)
from processor.operations.replays.ranges.replay import RangeReplay
from processor.operations.replays.ranges.selection import (
    Conditions,
    Selection,
    matching,
    source_spans,
    whole,
)
from processor.operations.replays.records import CANCEL, REPLAY, Kind, Status, read_replays
from processor.operations.resolutions.claiming import StillRunning
from processor.operations.where import where
from processor.settings import Settings
from processor.settings.masking import printable

LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class RangeOptions:
    """What was given for ``--topic``, ``--key`` and ``--where``."""

    topics: Sequence[str]
    keys: Sequence[str] = field(default=(), repr=False)
    where: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Range:
    """A range, its ends pinned; which of its records are meant is still to be seen."""

    spans: Spans
    conditions: Conditions
    manner: Manner
    _settings: Settings
    _reader: Reader

    @property
    def offsets(self) -> int:
        """Offsets in the range."""
        return sum(end - start for start, end in self.spans.values())

    async def select(self, looked_at: Callable[[int], None]) -> RangeReplay:
        """The records that are meant; reads the range only where there are conditions.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us, or the schemas are wrong.
        """
        selection = await self._selection(looked_at)
        pinned = Pinned(
            self.spans,
            selection.records,
            exact=bool(self.conditions),
            keys=len(self.conditions.keys),
            fields=tuple(".".join(condition.path) for condition in self.conditions.where),
            origins=origins_of(self._settings, {partition.topic for partition in self.spans}),
            manner=self.manner,
        )
        settings = settings_of(self._settings, self.manner)
        return RangeReplay.new(pinned, selection, settings, self._reader)

    async def _selection(self, looked_at: Callable[[int], None]) -> Selection:
        if not self.conditions:
            return whole(self._reader, self.spans)
        async with rehearsing(self._settings) as rehearsal:
            return await matching(
                self._reader, self.spans, self.conditions, rehearsal, looked_at=looked_at
            )


def require_alone(names: Mapping[str, object], others: Mapping[str, object]) -> None:
    """Refuse options beside one that names a plan or a replay, which have their own.

    Args:
        names: what was given for those that name one, by option.
        others: what was given for those that it replaces.

    Raises:
        Misconfigured: there are some.
    """
    given = [name for name, value in names.items() if value is not None]
    if len(given) > 1:
        raise Misconfigured(f"{' and '.join(given)} contradict each other.", mend="Give one.")
    if given and any(others.values()):
        raise Misconfigured(
            f"{given[0]} says which records they are and how they are sent.",
            mend="Beside it stand only --rate, --target-override, --execute and --json.",
        )


def by_options(
    settings: Settings,
    options: RangeOptions,
    bounds: BoundOptions,
    manner: Manner,
    *,
    now: datetime,
) -> Range:
    """Read the options and pin the range.

    Raises:
        Misconfigured: an option is malformed, or names what does not exist.
        TryAgain: no broker answers.
    """
    if not options.topics:
        raise Misconfigured("Say which topic: --topic TOPIC, or TOPIC:PARTITION,PARTITION….")
    limits = bounds.read(now)
    if not bounds.begins:
        raise Misconfigured(
            "Say where the replay begins: --from-earliest, --from-offset, --from-datetime or "
            "--by-duration."
        )
    choices = [topic_choice("--topic", text) for text in options.topics]
    conditions = Conditions(keys(options.keys), tuple(where(text) for text in options.where))
    reader = Reader(settings)
    spans = source_spans(reader, settings, choices, limits)
    return Range(spans, conditions, manner, settings, reader)


def by_plan(settings: Settings, path: Path, manner: Manner) -> RangeReplay:
    """The records of a plan.

    Args:
        settings: with the override's tables in place, if there is one.
        path: of the plan.
        manner: what was given beside it; only its rate and its place count.

    Raises:
        Misconfigured: it is no plan, or one of other topics or targets.
        TryAgain: no broker answers.
    """
    pinned = load(path, connector=settings.name)
    what = f"The plan {printable(str(path))}"
    return RangeReplay.new(*_checked(settings, pinned, manner, what))


def by_id(
    settings: Settings,
    replay_id: str,
    manner: Manner,
    *,
    waiting: Callable[[str], None] = lambda _text: None,
) -> RangeReplay:
    """What a replay that was not finished has left.

    Waits, where nobody can tell whether its process still runs, for a sign of it.

    Args:
        settings: with the override's tables in place, if there is one.
        replay_id: of the replay.
        manner: what was given beside it; only its rate and its place count.
        waiting: told why it takes a while.

    Raises:
        Misconfigured: there is no such replay, or it has ended for good, or is one of other topics
            or targets.
        StillRunning: a process is at work on it.
        TryAgain: no broker answers.
    """
    state = StateTopic(settings, f"{settings.name}-replay")
    entry = entry_of(state, replay_id)
    found = read_range(entry)
    if found is None:
        raise _other_kind(entry, replay_id)
    if found.final:
        raise Misconfigured(
            f"Replay {replay_id} is {found.base.status.value}; nothing of it is left to do."
        )
    if state.read(f"{CANCEL}{replay_id}"):
        raise Misconfigured(f"Replay {replay_id} is cancelled.")
    if found.base.status is Status.RUNNING and is_at_work(state, entry, found.process, waiting):
        raise StillRunning(f"Replay {replay_id} is running, begun by {found.base.by}.")
    try:
        pinned = pinned_of(found, state.read(offsets_prefix(replay_id)).values())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Misconfigured(
            f"What the state topic tells of replay {replay_id} is damaged or not complete.",
            mend="Begin another one.",
        ) from None
    pinned, _, narrow, reader = _checked(settings, pinned, manner, f"Replay {replay_id}")
    return RangeReplay(replay_id, pinned, None, found, narrow, reader)


def _checked(
    settings: Settings, pinned: Pinned, manner: Manner, what: str
) -> tuple[Pinned, Selection | None, Settings, Reader]:
    require_same_place(pinned, manner, what)
    unknown = [t for t in pinned.manner.targets if t not in settings.experience_platform.targets]
    if unknown:
        raise Misconfigured(f"{what} is for a target {unknown[0]}, which is not configured.")
    require_same_topics(pinned, origins_of(settings, pinned.topics), what)
    if manner.rate is not None:
        pinned = replace(pinned, manner=replace(pinned.manner, rate=manner.rate))
    return pinned, None, settings_of(settings, pinned.manner), Reader(settings)


def entry_of(state: StateTopic, replay_id: str) -> Entry:
    """The entry of a replay.

    Raises:
        Misconfigured: there is no such replay, or the state topic refuses us.
        TryAgain: no broker answers.
    """
    entry = state.read(f"{REPLAY}{replay_id}").get(f"{REPLAY}{replay_id}")
    if entry is None:
        raise Misconfigured(
            f"There is no replay {printable(replay_id)} in {state.name}.",
            mend="`processor replay list` shows those that there are.",
        )
    return entry


def is_at_work(
    state: StateTopic,
    entry: Entry,
    process: str,
    waiting: Callable[[str], None],
    *,
    gone: Callable[[str], bool] = is_gone,
) -> bool:
    """Whether a process is at work on a replay that stands as running.

    Where its end is not certain, we wait for what a process that runs writes every few seconds;
    clocks of several hosts are not compared.

    Args:
        state: where it writes.
        entry: of the replay, as it was read last.
        process: that runs it, as its record says.
        waiting: told why it takes a while.
        gone: whether a process has certainly ended.

    Raises:
        TryAgain: no broker answers.
    """
    if process and gone(process):
        return False
    waiting(f"Waiting up to {SILENT_S:g} s for a sign of the process that runs it.")
    until_s = time.monotonic() + SILENT_S
    while time.monotonic() < until_s:
        if (process and gone(process)) or not (now := state.read(entry.key)):
            return False
        if now[entry.key].offset != entry.offset:
            found = now[entry.key].document or {}
            return found.get("status") == Status.RUNNING.value
        time.sleep(LOOK_EVERY_S)
    return False


def _other_kind(entry: Entry, replay_id: str) -> Misconfigured:
    base = next(iter(read_replays([entry]).values()), None)
    if base is not None and base.kind is Kind.LETTERS:
        return Misconfigured(
            f"Replay {replay_id} is one of dead letters.",
            mend=f"`processor dlq replay --resume {replay_id}` goes on with it.",
        )
    return Misconfigured(f"What the state topic tells of replay {replay_id} cannot be read.")
