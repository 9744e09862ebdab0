"""Chooses the letters of a replay: by options, by a plan, or those that one has left."""

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processor.errors import Misconfigured
from processor.kafka.letter import now_rfc3339
from processor.kafka.state import StateTopic
from processor.operations.chosen import Chosen
from processor.operations.letters.events import decoding
from processor.operations.letters.find import Criteria, Found, is_letter_topic, scan
from processor.operations.letters.meant import LookOptions
from processor.operations.letters.options import Where as Place
from processor.operations.letters.options import keys, locate
from processor.operations.masking import shown_key
from processor.operations.own_process import user_at_host
from processor.operations.reading import Reader
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.letters.choice import Holds, choose
from processor.operations.replays.letters.forecast import Left
from processor.operations.replays.letters.plan_file import Plan, load, require_same
from processor.operations.replays.letters.replay import How, LetterReplay, Run
from processor.operations.replays.letters.state import Known, Wanted, known, wanted
from processor.operations.replays.records import (
    Kind,
    ReplayRecord,
    Status,
    read_chosen,
    read_replays,
)
from processor.operations.replays.replaying import state_targets
from processor.operations.resolutions.claiming import StillRunning, running
from processor.operations.where import where
from processor.record import TopicPartition
from processor.settings import Settings

NO_LIMIT = 2**31


class Letters:
    """Chooses letters of a connector; the ends of the topics are pinned by each call.

    Args:
        by: who replays them; empty: the account of this process.

    Each raises Misconfigured when what was given is wrong, and TryAgain when no broker answers.
    """

    def __init__(self, settings: Settings, how: How, *, by: str = "") -> None:
        self._settings = settings
        self._how = how
        self._by = by or user_at_host()
        self._reader = Reader(settings)
        self._state = StateTopic(settings, f"{settings.name}-replay")

    @staticmethod
    def require_alone(names: Mapping[str, object], others: Collection[object]) -> None:
        """Refuse options that select letters beside one that names them.

        Raises:
            Misconfigured: there are some.
        """
        given = [name for name, value in names.items() if value]
        if len(given) > 1 or any(others):
            raise Misconfigured(
                f"{' and '.join(given)} {'name' if len(given) > 1 else 'names'} the letters.",
                mend="Give no other option that selects some.",
            )

    def by_options(self, given: LookOptions) -> LetterReplay:
        """The letters that options select."""
        options, bounds = given.letters, given.bounds
        which = wanted(given.resolution, now_rfc3339())
        conditions = tuple(map(where, given.wheres))
        criteria, place = locate(self._reader, self._settings, options, bounds)
        now = self._known({partition.topic for partition in place.later})
        run = Run(selection=_selection(given), by=self._by)
        if not conditions:
            return self._chosen(criteria, place, now=now, run=run, which=which)
        with decoding(self._settings) as events:
            holds = Holds(conditions, events)
            return self._chosen(criteria, place, now=now, run=run, which=which, holds=holds)

    def by_plan(self, path: Path) -> LetterReplay:
        """The letters of a plan that are still there.

        An execution of it that did not end is gone on with.
        """
        return self.of_plan(load(path), str(path))

    def of_plan(self, plan: Plan, name: str) -> LetterReplay:
        """The same, of a plan that is at hand; its name is for people."""
        letters, place = self._still_there(plan.chosen, f"{name} is a plan for")
        now = self._known({partition.topic for partition in letters.by_partition})
        require_same(plan, now.origin, name)
        which = wanted(str(plan.selection.get("resolution", "open")), plan.created)
        earlier = next(
            (
                replay
                for replay in reversed(read_replays(now.entries.values()).values())
                if replay.plan == plan.digest
                and replay.status in (Status.RUNNING, Status.INTERRUPTED)
                and running(now.entries, replay.id) is None
            ),
            None,
        )
        run = Run(plan=plan.digest, selection=dict(plan.selection), by=self._by)
        if earlier is not None:
            run = Run(earlier.id, plan.digest, dict(plan.selection), earlier, self._by)
        return self._chosen(
            Criteria(self._settings.name), place, now=now, run=run, which=which, within=letters
        )

    def by_replay(self, replay_id: str) -> LetterReplay:
        """The letters that a replay has left.

        Raises:
            StillRunning: it has not ended.
        """
        entries = self._state.read()
        replay = read_replays(entries.values()).get(replay_id)
        if replay is None or replay.kind is not Kind.LETTERS:
            raise Misconfigured(f"--resume: no replay of dead letters has the id {replay_id}.")
        if (who := running(entries, replay_id)) is not None:
            raise StillRunning(f"Replay {replay_id} is running; {who.by} has begun it.")
        letters, place = self._still_there(
            read_chosen(entries.values(), replay_id), f"Replay {replay_id} is one of"
        )
        now = self._known({partition.topic for partition in letters.by_partition})
        _require_same_topics(replay, now)
        which = wanted(str(replay.options.get("resolution", "open")), replay.created)
        run = Run(replay_id, replay.plan, dict(replay.options), replay, self._by)
        return self._chosen(
            Criteria(self._settings.name), place, now=now, run=run, which=which, within=letters
        )

    def _known(self, topics: Collection[str]) -> Known:
        return known(self._settings, self._state, topics)

    def _still_there(self, letters: Chosen, what: str) -> tuple[Chosen, Place]:
        """The letters, and where they stand of what Kafka still holds."""
        partitions = list(letters.by_partition)
        there = self._reader.topics()
        for place in partitions:
            if not is_letter_topic(self._settings, place.topic):
                raise Misconfigured(f"{what} {place.topic}, which is no dead-letter topic of ours.")
            if place.partition >= there.get(place.topic, 0):
                raise Misconfigured(f"{what} {place}, which does not exist any more.")
        starts, ends = self._reader.starts(partitions), self._reader.ends(partitions)
        spans: dict[TopicPartition, tuple[int, int]] = {}
        for place in partitions:
            first, after = letters.by_partition[place].span
            spans[place] = max(first, starts[place]), min(after, ends[place])
        later = {place: (start, ends[place]) for place, (start, _) in spans.items()}
        return letters, Place(spans, later)

    def _chosen(
        self,
        criteria: Criteria,
        place: Place,
        *,
        now: Known,
        run: Run,
        which: Wanted,
        within: Chosen | None = None,
        holds: Callable[[Found], bool] = lambda _found: True,
    ) -> LetterReplay:
        # Whether letters that are named were replayed too often was asked when they were chosen.
        max_replays = self._how.max_replays if within is None else NO_LIMIT
        states = set(state_targets(self._settings))
        later = LaterRecords(self._reader, states)

        def note(found: Found) -> None:
            letter = found.letter
            targets = {target.partition("#")[0] for target in letter.targets}
            if states and (not targets or targets & states):
                later.want(letter.source, letter.key, letter.source_timestamp_ms)

        with closing(scan(self._reader, place.later, criteria.connector)) as letters:
            choice = choose(
                letters,
                place.spans,
                criteria,
                max_replays=max_replays,
                within=within,
                wanted=lambda where_, offset: which.takes(now.resolutions.of(where_, offset)),
                holds=holds,
                meant=note,
            )
        found = choice.letters.count + choice.over_limit + choice.superseded + choice.resolved
        gone = 0 if within is None else within.count - found
        return LetterReplay(
            Left(choice, max_replays, gone),
            self._how,
            run,
            now,
            which,
            later,
            self._settings,
            self._reader,
            self._state,
        )


def _require_same_topics(replay: ReplayRecord, now: Known) -> None:
    for topic, then in replay.topic_ids.items():
        if now.origin.topic_ids.get(topic, then) != then:
            raise Misconfigured(
                f"Replay {replay.id} is one of a topic {topic} that was deleted; another one has "
                "its name now."
            )


def _selection(given: LookOptions) -> dict[str, Any]:
    """The options as a plan and a replay's record hold them: keys as hashes, values left out."""
    options: Mapping[str, Any] = {**asdict(given.letters), **asdict(given.bounds)}
    selection = {
        name: value for name, value in options.items() if value not in (None, False, (), [])
    }
    if given.letters.keys:
        shown = [shown_key(key, reveal=False) for key in sorted(keys(given.letters.keys))]
        selection["keys"] = shown
    if given.wheres:
        selection["where"] = [text.partition("=")[0] for text in given.wheres]
    return {**selection, "resolution": given.resolution}
