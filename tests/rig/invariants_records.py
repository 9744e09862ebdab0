"""Invariants of what became of each record: I1, I5 to I14, I24 (pure)."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

from processor.errors import FilterReason
from processor.kafka.letter import ADDED
from processor.record import Position, TopicPartition
from tests.rig.history import Produced
from tests.rig.index import Index, listed
from tests.rig.verdict import Found, invariant

UNDECIDED = {"delivery.no_verdict", "delivery.poison"}
"""Codes of letters that say that what became of the message is not known."""

CALM_BEFORE_MS = 30_000.0
DELAY_MS = 60_000.0
"""A record on a quiet machine with a healthy Experience Platform may take so long."""

OUTAGE_AFTER_MS = 3_000.0
OPTIONAL_HEADERS = {
    "processor.event.id",
    "processor.event.name",
    "processor.schema.id",
    "processor.http.status",
    "processor.xaction.id",
    "processor.replay.id",
    "processor.source.timestamp",
}
NEEDED_HEADERS = ADDED - OPTIONAL_HEADERS


@invariant("every record is accepted, dead-lettered, filtered, or not committed")
def i1_conservation(index: Index) -> Found:
    problems = []
    expected = [row for row in index.produced.values() if row.fate != "abort"]
    for row in expected:
        if index.settled_ms(row, told=False) < math.inf:
            continue
        if index.covered(place_of(row), row.offset):
            missing = sorted(i for i, came in index.acceptances(row).items() if not came)
            what = listed(missing) or "a dead letter"
            problems.append(f"{row.position} is lost: committed, but without {what}")
        elif not index.commits:
            problems.append(f"{row.position} has no fate, and no commit was observed")
    problems += [
        f"{row.position} was accepted though its transaction was aborted"
        for row in index.produced.values()
        if row.fate == "abort" and any(index.acceptances(row).values())
    ]
    return len(expected), problems


@invariant("no message of a record is both accepted and dead-lettered, unless nobody could tell")
def i5_exclusive_fate(index: Index) -> Found:
    problems = []
    for position, letters in index.letters.items():
        row = index.produced.get(position)
        if row is None:
            continue
        failed = index.failed_targets(row)
        codes = {letter.code for letter in letters}
        for inlet, came in index.acceptances(row).items():
            told = [one for one in came if one.told]
            if inlet in failed and came and (told or not codes <= UNDECIDED):
                problems.append(
                    f"{position} was accepted for {inlet} (request {came[0].request}) and "
                    f"dead-lettered for it ({listed(sorted(codes))})"
                )
    return len(index.letters), problems


@invariant("what is done twice has a crash, a loss or an answer without a verdict between")
def i6_repeats_are_explained(index: Index) -> Found:
    problems: list[str] = []
    by_crash: dict[str, set[Position]] = defaultdict(set)
    for row, first, again in index.repeats():
        if not first.told:
            continue
        why = index.explanations(place_of(row), index.sent_ms(first), again.at_ms)
        what = f"{row.position} for {again.inlet} (requests {first.request}, {again.request})"
        if not why:
            problems.append(f"{what} was accepted twice without a reason")
        crashes = [reason for reason in why if reason.startswith("crash")]
        if crashes and len(crashes) == len(why):
            by_crash[crashes[-1]].add(row.position)
            crash_ms = max(_begin_ms(index, reason) for reason in crashes)
            if index.covered(place_of(row), row.offset, min(crash_ms, again.at_ms)):
                problems.append(f"{what} was sent again though a commit said that it had ended")
    for position, letters in index.letters.items():
        problems += [
            f"{position} was dead-lettered twice without a reason"
            for first_, again_ in pairwise(letters)
            if again_.replay_count == first_.replay_count
            and not index.explanations(
                TopicPartition(*position[:2]), first_.failed_ms or first_.at_ms, again_.at_ms
            )
        ]
    # What was held, and as many again that had ended since the last commit.
    most = 2 * index.setup.cap * index.setup.tasks
    problems += [
        f"{reason}: {len(again_too)} records came again, more than {most}"
        for reason, again_too in by_crash.items()
        if most and len(again_too) > most
    ]
    return sum(map(len, index.accepted.values())), problems


@invariant("with clean stops and revocations only, every message is accepted once")
def i7_clean_means_once(index: Index) -> Found:
    unclean = index.spans_with("crash", "freeze", "answers", "kafka")
    untold = any(not row.told for rows in index.accepted.values() for row in rows)
    if unclean or untold or any(row.what == "lost" or row.open for row in index.owned):
        return 0, ()
    problems = [
        f"{row.position} was accepted for {again.inlet} by the requests {first.request} and "
        f"{again.request}"
        for row, first, again in index.repeats()
    ]
    return sum(map(len, index.accepted.values())), problems


@invariant("where order is asked for, first acceptances of a key are in offset order")
def i8_key_order(index: Index) -> Found:
    firsts: dict[tuple[TopicPartition, str, str], list[tuple[Position, int]]] = defaultdict(list)
    for row in index.produced.values():
        for inlet, ids in row.messages.items():
            came = [
                index.accepted[inlet, id_][0].order for id_ in ids if (inlet, id_) in index.accepted
            ]
            if inlet in index.setup.ordered and row.key is not None and came:
                if any(len(index.by_message[inlet, id_]) > 1 for id_ in ids):
                    continue
                firsts[place_of(row), row.key, inlet].append((row.position, min(came)))
    problems, pairs = [], 0
    for (*_, inlet), rows in firsts.items():
        rows.sort()
        for (earlier, first), (later, second) in pairwise(rows):
            pairs += 1
            if second < first:
                problems.append(f"{later} was accepted for {inlet} before {earlier} of its key")
    return pairs, problems


@invariant("one record has one _id, and no two records share one unless it is one event")
def i9_same_identity(index: Index) -> Found:
    problems = [
        f"{rows[0].inlet} accepted {id_!r} (request {rows[0].request}), which no record has"
        for (inlet, id_), rows in index.accepted.items()
        if (inlet, id_ or "") not in index.by_message
    ]
    for (inlet, id_), records in index.by_message.items():
        if len({row.event_id for row in records}) > 1:
            shared = listed([row.position for row in records])
            problems.append(f"{shared} share {id_!r} at {inlet}, and are different events")
    for position, letters in index.letters.items():
        row = index.produced.get(position)
        problems += [
            f"{position}: its letter names another event, {letter.event_id!r}"
            for letter in letters
            if row is not None and letter.event_id not in {None, row.event_id}
        ]
    return len(index.accepted), problems


@invariant("a message that comes again is the same bytes")
def i10_determinism(index: Index) -> Found:
    problems, again = [], 0
    for (inlet, id_), rows in index.accepted.items():
        digests = {row.digest for row in rows if row.digest is not None}
        events = {row.digest for row in index.by_message.get((inlet, id_ or ""), ())}
        if len(rows) > 1 and len(events) == 1:
            again += 1
            if len(digests) > 1:
                requests = listed([row.request for row in rows])
                problems.append(f"{id_!r} came to {inlet} with different bodies ({requests})")
    return again, problems


@invariant("a dead letter is the record byte for byte, with its whole story")
def i11_letter_is_complete(index: Index) -> Found:
    problems = []
    for position, letters in index.letters.items():
        row = index.produced.get(position)
        for letter in letters:
            if row is None:
                problems.append(f"a letter names {position}, where no record was produced")
                continue
            same = {
                "key": letter.key == row.key,
                "value": letter.digest == row.digest,
                "headers": letter.headers == row.headers,
                "timestamp": letter.source_at_ms == row.at_ms,
                "partition": letter.own_partition == row.partition,
            }
            problems += [
                f"{position}: its letter's {what} differs" for what in same if not same[what]
            ]
            if letter.missing:
                problems.append(f"{position}: its letter lacks {listed(sorted(letter.missing))}")
    return sum(map(len, index.letters.values())), problems


@invariant("exactly the records at fault are dead-lettered, each with its code")
def i12_blame_is_exact(index: Index) -> Found:
    problems = []
    bad = {p: row for p, row in index.produced.items() if row.fate == "dead_letter"}
    for position, letters in index.letters.items():
        row = index.produced.get(position)
        if row is not None and row.fate != "dead_letter":
            problems.append(
                f"{position} is a good record, and was dead-lettered: {letters[0].code}"
            )
    for position, row in bad.items():
        letters = index.letters.get(position, [])
        codes = {letter.code for letter in letters}
        known = set(row.why)
        if "delivery.poison" in known and any(
            span.kind.startswith("aep") and span.during.meets(row.at_ms, letter.at_ms)
            for span in index.spans
            for letter in letters
        ):
            known.add("delivery.no_verdict")  # its 500s were among answers that broke off
        if not codes and index.covered(place_of(row), row.offset):
            problems.append(f"{position} is at fault ({listed(row.why)}), and has no letter")
        elif known and not codes <= known:
            problems.append(f"{position} was dead-lettered as {listed(sorted(codes - known))}")
    return len(bad) + len(index.letters), problems


@invariant("an outage writes no dead letter of a good record")
def i13_outage_is_no_poison(index: Index) -> Found:
    outages = index.spans_with("outage")
    problems = [
        f"{position} was dead-lettered ({letter.code}) during {span.kind}"
        for position, letters in index.letters.items()
        if (row := index.produced.get(position)) is not None and row.fate != "dead_letter"
        for letter in letters
        for span in outages
        if span.during._replace(end_ms=span.during.end_ms + OUTAGE_AFTER_MS).meets(
            letter.at_ms, letter.at_ms
        )
    ]
    return len(outages), problems


@invariant("a record at fault does not hold up the others of its partition")
def i14_poison_does_not_block(index: Index) -> Found:
    bad = {place_of(row) for row in index.produced.values() if row.fate == "dead_letter"}
    problems, looked_at = [], 0
    for row in index.produced.values():
        if row.fate != "deliver" or place_of(row) not in bad:
            continue
        settled_ms = index.settled_ms(row)
        until_ms = min(settled_ms, row.at_ms + DELAY_MS)
        if settled_ms == math.inf:
            continue  # which is a loss, or was not drained
        if until_ms < index.end_ms and index.calm(row.at_ms - CALM_BEFORE_MS, until_ms):
            looked_at += 1
            if settled_ms > row.at_ms + DELAY_MS:
                problems.append(f"{row.position} was not settled {DELAY_MS / 1000:g} s later")
    return looked_at, problems


@invariant("what is filtered is counted under its reason")
def i24_filter_is_named(index: Index) -> Found:
    expected = Counter(
        row.why[0] for row in index.produced.values() if row.fate == "filter" and row.why
    )
    counted: Counter[str] = Counter()
    for scrapes in index.scrapes.values():
        counted.update(scrapes[-1].filtered)
    if not index.scrapes or not expected:
        return 0, ()
    problems = [
        f"reason {reason} is none of ours" for reason in counted if reason not in set(FilterReason)
    ]
    problems += [
        f"{reason}: {counted[reason]} counted, none expected"
        for reason in counted
        if counted[reason] and not expected[reason]
    ]
    # Whoever ends takes along what it counted since its last scrape, and a loss counts twice.
    lossless = not index.spans_with("crash", "freeze", "kafka")
    whole = all(exit_.since_ms >= index.end_ms for exit_ in index.exits.values())
    problems += [
        f"{reason}: {counted[reason]} counted, {number} produced"
        for reason, number in expected.items()
        if lossless and (counted[reason] > number or (whole and counted[reason] < number))
    ]
    return sum(expected.values()), problems


def place_of(row: Produced) -> TopicPartition:
    """The partition of a record."""
    return TopicPartition(row.topic, row.partition)


def _begin_ms(index: Index, reason: str) -> float:
    number = int(reason.split()[1])
    return next(span.during.begin_ms for span in index.spans if span.number == number)
