"""Invariants of what was committed, by whom, and what it meant: I2-I4, I19, I22, I23 (pure)."""

import math
import signal
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise

from processor.record import Position, TopicPartition
from tests.rig.history import Committed, Exit, Replayed
from tests.rig.index import Index, Window, listed
from tests.rig.verdict import Found, invariant

CLOCK_MS = 20.0
"""The broker's time of a commit is cut to milliseconds, and clocks are set."""

HANDOVER_MS = 2_000.0
"""What an instance logs of a hand-over may lag behind what its consumer did."""

FREEZE_MS = 10_000.0
"""Who was frozen may have lost its partitions so long before it hears of that."""

COMMIT_MS = 20_000.0
"""The last commit of a revocation or a stop may take so long after the partition was given back."""

RECONNECT_MS = 10_000.0
"""Trouble is over for us when librdkafka has connected anew; its ``reconnect.backoff.max.ms``."""

EXIT_CODES = {"kill": {-9}, "term": {0, 1}, "term_twice": {0, 1, 130}}
"""By what was done; a single SIGTERM without trouble ends with 0, unless its time runs out, as it
may while a message that gets 500 has no verdict: that takes others that are accepted."""

TROUBLE = ("crash", "freeze", "kafka", "answers", "outage", "refusing", "tokens")


@invariant("at each commit, every offset that it says has ended was settled")
def i2_no_early_commit(index: Index) -> Found:
    problems, looked_at = [], 0
    for place, commits in index.commits.items():
        seen: set[int] = set()
        offsets = sorted(p.offset for p in index.produced if p[:2] == place)
        for commit in commits:
            for offset in _newly_covered(commit, offsets, seen):
                looked_at += 1
                row = index.produced[Position(*place, offset)]
                settled_ms = index.settled_ms(row)
                if settled_ms > commit.at_ms + CLOCK_MS:
                    late = (
                        "never"
                        if settled_ms == math.inf
                        else f"{settled_ms - commit.at_ms:.0f} ms later"
                    )
                    problems.append(
                        f"{row.position} was committed as ended (offset {commit.offset}) and was "
                        f"settled {late}"
                    )
    return looked_at, problems


def _newly_covered(commit: Committed, offsets: list[int], seen: set[int]) -> Iterator[int]:
    for offset in list(offsets):
        beyond = offset >= commit.offset
        if beyond and not any(a <= offset < b for a, b in commit.ended):
            if not commit.ended:
                return
            continue
        if not beyond:
            offsets.remove(offset)
        if offset not in seen:
            seen.add(offset)
            yield offset


@invariant("committed offsets never go back")
def i3_commits_are_monotone(index: Index) -> Found:
    problems = [
        f"{place}: {later.offset} was committed after {earlier.offset}"
        for place, commits in index.commits.items()
        for earlier, later in pairwise(commits)
        if later.offset < earlier.offset
    ]
    return sum(map(len, index.commits.values())), problems


@invariant("only who holds a partition commits for it, and only one holds it")
def i4_ownership(index: Index) -> Found:
    by_place: dict[TopicPartition, list[Window]] = defaultdict(list)
    for window in index.windows:
        by_place[window.place].append(window)
    if not by_place or not index.commits:
        return 0, ()
    problems = []
    for place, windows in by_place.items():
        for one, other in combinations(sorted(windows, key=lambda w: w.during), 2):
            shared_ms = min(one.during.end_ms, other.during.end_ms) - other.during.begin_ms
            if one.instance == other.instance or shared_ms <= HANDOVER_MS:
                continue
            # Who was frozen hears only when it wakes that its session is over.
            if one.ended != "lost" and not index.during("freeze", other.during.begin_ms, FREEZE_MS):
                problems.append(f"{place} was held by {one.instance} and {other.instance} at once")
        for commit in index.commits.get(place, ()):
            held = any(
                w.during.begin_ms - HANDOVER_MS <= commit.at_ms <= w.during.end_ms + COMMIT_MS
                for w in windows
            )
            if not held:
                problems.append(f"{place}: {commit.offset} was committed while nobody held it")
    return sum(map(len, index.commits.values())), problems


@invariant("every exit has a documented status, and 0 means that all was committed")
def i19_exit_codes(index: Index) -> Found:
    exits = index.history.of(Exit)
    problems = []
    for exit_ in exits:
        allowed = EXIT_CODES.get(exit_.how, set())
        troubled = any(
            span.during.meets(exit_.since_ms - RECONNECT_MS, exit_.at_ms)
            for span in index.spans_with(*TROUBLE)
            if span.kind != "death"
        )
        in_time = exit_.at_ms - exit_.since_ms < index.setup.drain_s * 1000
        if exit_.how == "term" and in_time and not troubled:
            allowed = {0}
        if exit_.instance not in index.answering:  # it may not even have been Python yet
            allowed = allowed | {-signal.SIGTERM}
        if exit_.code not in allowed:
            problems.append(f"{exit_.instance} ended with {exit_.code} ({exit_.how})")
        elif exit_.code == 0 and exit_.how == "term":
            problems += _uncommitted(index, exit_)
    return len(exits), problems


def _uncommitted(index: Index, exit_: Exit) -> Iterator[str]:
    """What an instance that was alone had brought to an end and not committed."""
    life = index.lives.get(exit_.instance)
    if life is None or not index.commits:
        return
    alone = all(
        name == exit_.instance or not other.meets(life.begin_ms, exit_.at_ms)
        for name, other in index.lives.items()
    )
    if not alone:
        return
    for position, row in index.produced.items():
        settled_ms = index.settled_ms(row)
        began = [one.at_ms for came in index.acceptances(row).values() for one in came]
        of_this_life = began and min(began) >= life.begin_ms and settled_ms <= exit_.at_ms
        place = TopicPartition(*position[:2])
        if of_this_life and not index.covered(place, position.offset, exit_.at_ms + CLOCK_MS):
            yield f"{exit_.instance} ended with 0, and {position} had ended but was not committed"


@invariant("a finished replay leaves each record accepted or dead-lettered again, and nothing else")
def i22_replay(index: Index) -> Found:
    problems, looked_at = [], 0
    for replay in index.history.of(Replayed):
        for topic, partition, offset in replay.members:
            looked_at += 1
            position = Position(topic, partition, offset)
            row = index.produced.get(position)
            came = [
                one.at_ms
                for rows in (index.acceptances(row).values() if row is not None else ())
                for one in rows
                if replay.begin_ms <= one.at_ms <= replay.end_ms
            ]
            again = [
                letter
                for letter in index.letters.get(position, ())
                if letter.replay_count > 0 and letter.at_ms >= replay.begin_ms - CLOCK_MS
            ]
            if not came and not again:
                problems.append(f"{position} was replayed, and neither accepted nor dead-lettered")
        problems += [
            f"{place}: {later.offset} was committed during a replay, after {earlier.offset}"
            for place, commits in index.commits.items()
            for earlier, later in pairwise(commits)
            if later.offset < earlier.offset and replay.begin_ms <= later.at_ms <= replay.end_ms
        ]
    return looked_at, problems


@invariant("gaps between offsets are neither waited for nor skipped over a record")
def i23_gaps(index: Index) -> Found:
    problems, looked_at = [], 0
    quiet = index.end_ms < math.inf
    by_place: dict[TopicPartition, list[int]] = defaultdict(list)
    for topic, partition, offset in sorted(index.produced):
        by_place[TopicPartition(topic, partition)].append(offset)
    for place, offsets in by_place.items():
        holes = [
            later
            for earlier, later in pairwise(offsets)
            if later > earlier + 1 or index.produced[Position(*place, earlier)].fate == "abort"
        ]
        commits = index.commits.get(place, [])
        if not holes or not commits or not quiet:
            continue
        looked_at += len(holes)
        last = max(
            (o for o in offsets if index.produced[Position(*place, o)].fate != "abort"), default=-1
        )
        highest = max(commit.offset for commit in commits)
        if highest <= last:
            problems.append(
                f"{place} has gaps before {listed(holes)}, and its commit stays at "
                f"{highest} though {last} is the last record"
            )
        for offset in holes:
            row = index.produced[Position(*place, offset)]
            if row.fate != "abort" and index.settled_ms(row, told=False) == math.inf:
                problems.append(f"{row.position} follows a gap, and was skipped")
    return looked_at, problems
