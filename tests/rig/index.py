"""A history looked at from the side of records, partitions and faults (pure)."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from processor.record import Position, TopicPartition
from tests.rig.history import (
    Accepted,
    Committed,
    Dlq,
    Exit,
    Fault,
    History,
    Interval,
    Owned,
    Posted,
    Produced,
    Quiet,
    Ready,
    Scrape,
    Setup,
    Started,
    Taskdeath,
)

FREEZE_AFTER_MS = 15_000.0
"""A frozen process that wakes up may send what it held until it hears that it lost it."""

CRASH_AFTER_MS = 3_000.0
"""A request of a killed process may still be read and accepted."""

ON_ITS_WAY_MS = 500.0
"""What was sent may arrive so much later on a busy machine."""

DISTURBING = frozenset({"crash", "freeze", "answers"})
"""Effects that explain why a message came twice."""


@dataclass(frozen=True, slots=True)
class Span:
    """A fault from its begin to its end.

    Its effects: ``crash``, ``freeze`` (of a connector), ``answers`` (answers of Experience Platform
    may be lost on the way), ``kafka`` (commits and memberships may be), ``outage`` (no dead letter
    of a good record), ``refusing`` (every request of a door is refused: retries are counted),
    ``tokens`` (tokens may be refused or bought more often), ``clean`` (nothing of all that).
    """

    number: int
    kind: str
    effects: frozenset[str]
    during: Interval
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A partition in the hands of one instance."""

    instance: str
    place: TopicPartition
    during: Interval
    ended: str


class Index:
    """What the invariants ask of a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        setups = history.of(Setup)
        self.setup = setups[-1] if setups else Setup(group="", topics=())

    @cached_property
    def produced(self) -> dict[Position, Produced]:
        return {row.position: row for row in self.history.of(Produced)}

    @cached_property
    def by_message(self) -> dict[tuple[str, str], list[Produced]]:
        """By inlet and ``_id``, the records that a message may be of; several share an event."""
        found: dict[tuple[str, str], list[Produced]] = defaultdict(list)
        for row in self.produced.values():
            for inlet, ids in row.messages.items():
                for id_ in ids:
                    found[inlet, id_].append(row)
        return dict(found)

    @cached_property
    def accepted(self) -> dict[tuple[str, str | None], list[Accepted]]:
        """By inlet and ``_id``, in order of arrival."""
        found: dict[tuple[str, str | None], list[Accepted]] = defaultdict(list)
        for row in sorted(self.history.of(Accepted), key=lambda row: row.order):
            found[row.inlet, row.id].append(row)
        return dict(found)

    @cached_property
    def letters(self) -> dict[Position, list[Dlq]]:
        found: dict[Position, list[Dlq]] = defaultdict(list)
        for row in sorted(self.history.of(Dlq), key=lambda row: row.at_ms):
            found[row.position].append(row)
        return dict(found)

    @cached_property
    def commits(self) -> dict[TopicPartition, list[Committed]]:
        """Of the connector's group, by partition, in the broker's order."""
        found: dict[TopicPartition, list[Committed]] = defaultdict(list)
        for row in sorted(self.history.of(Committed), key=lambda row: row.order):
            if row.group == self.setup.group:
                found[row.place].append(row)
        return dict(found)

    @cached_property
    def posted(self) -> list[Posted]:
        return sorted(self.history.of(Posted), key=lambda row: row.request)

    @cached_property
    def end_ms(self) -> float:
        quiet = self.history.of(Quiet)
        return quiet[-1].at_ms if quiet else math.inf

    @cached_property
    def spans(self) -> list[Span]:
        """Faults; one without an end lasts for ever. Unasked deaths are crashes too."""
        begun: dict[int, Fault] = {}
        ended: dict[int, float] = {}
        for row in self.history.of(Fault):
            if row.phase == "begin":
                begun[row.number] = row
            else:
                ended[row.number] = row.at_ms
        spans = [
            Span(
                number,
                row.kind,
                frozenset(row.effects),
                Interval(row.at_ms, ended.get(number, math.inf)),
                row.detail,
            )
            for number, row in begun.items()
        ]
        crashes = [
            (exit_.at_ms, f"{exit_.instance} ended with {exit_.code}")
            for exit_ in self.history.of(Exit)
            if exit_.how == "died" or exit_.code not in {0, -9}
        ]
        crashes += [(d.at_ms, f"a task of {d.instance}") for d in self.history.of(Taskdeath)]
        spans += [
            Span(-1 - number, "death", frozenset({"crash"}), Interval(at_ms, at_ms), detail)
            for number, (at_ms, detail) in enumerate(crashes)
        ]
        return sorted(spans, key=lambda span: span.during)

    def spans_with(self, *effects: str) -> list[Span]:
        return [span for span in self.spans if span.effects & set(effects)]

    @cached_property
    def exits(self) -> dict[str, Exit]:
        return {row.instance: row for row in self.history.of(Exit)}

    @cached_property
    def lives(self) -> dict[str, Interval]:
        """From start to exit, by instance."""
        return {
            row.instance: Interval(
                row.at_ms,
                self.exits[row.instance].at_ms if row.instance in self.exits else math.inf,
            )
            for row in self.history.of(Started)
        }

    @cached_property
    def answering(self) -> set[str]:
        """Instances that answered on their port at all."""
        return {row.instance for row in self.history.of(Ready) if row.status}

    @cached_property
    def scrapes(self) -> dict[str, list[Scrape]]:
        """By instance, in order."""
        found: dict[str, list[Scrape]] = defaultdict(list)
        for row in sorted(self.history.of(Scrape), key=lambda row: row.at_ms):
            found[row.instance].append(row)
        return dict(found)

    @cached_property
    def owned(self) -> list[Owned]:
        return sorted(self.history.of(Owned), key=lambda row: row.at_ms)

    @cached_property
    def windows(self) -> list[Window]:
        """Who held which partition when, by what the instances say."""
        found: list[Window] = []
        open_: dict[tuple[str, TopicPartition], float] = {}
        for row in self.owned:
            who = row.instance, TopicPartition(row.topic, row.partition)
            begin_ms = open_.pop(who, None)
            if begin_ms is not None:
                during = Interval(begin_ms, row.at_ms)
                found.append(Window(*who, during, row.what if row.what != "assigned" else "lost"))
            if row.what == "assigned":
                open_[who] = row.at_ms
        for (instance, place), begin_ms in open_.items():
            exit_ = self.exits.get(instance)
            end_ms, how = (exit_.at_ms, exit_.how) if exit_ is not None else (math.inf, "held")
            found.append(Window(instance, place, Interval(begin_ms, end_ms), how))
        return found

    # Questions about one record.

    def acceptances(self, row: Produced) -> dict[str, list[Accepted]]:
        """By inlet, of the messages that it should become."""
        return {
            inlet: [one for id_ in ids for one in self.accepted.get((inlet, id_), ())]
            for inlet, ids in row.messages.items()
        }

    def failed_targets(self, row: Produced) -> set[str]:
        """Inlets that a dead letter of it names; all of them where it names none."""
        named: set[str] = set()
        for letter in self.letters.get(row.position, ()):
            targets = {name.partition("#")[0] for name in letter.targets}
            named |= targets or set(row.messages)
        return named

    def settled_ms(self, row: Produced, *, told: bool = True) -> float:
        """When its last message had its fate; infinity: it has not.

        With `told` an acceptance counts only when the answer said so.
        """
        if row.fate in {"filter", "abort"}:
            return row.at_ms
        letters = self.letters.get(row.position, [])
        letter_ms = letters[0].at_ms if letters else math.inf
        if not row.messages:
            return letter_ms
        failed = self.failed_targets(row)
        times = []
        for inlet, ids in row.messages.items():
            for id_ in ids:
                came = [
                    one.at_ms for one in self.accepted.get((inlet, id_), ()) if one.told or not told
                ]
                by_letter = letter_ms if inlet in failed else math.inf
                times.append(min([*came, by_letter]))
        return max(times)

    def covered(self, place: TopicPartition, offset: int, before_ms: float = math.inf) -> bool:
        """Whether a commit up to then said that this offset has ended."""
        return any(
            offset < commit.offset or any(a <= offset < b for a, b in commit.ended)
            for commit in self.commits.get(place, ())
            if commit.at_ms < before_ms
        )

    def repeats(self) -> Iterator[tuple[Produced, Accepted, Accepted]]:
        """Each acceptance of a message that had been accepted before, with the one before it."""
        for (inlet, id_), rows in self.accepted.items():
            records = self.by_message.get((inlet, id_ or ""), [])
            # Capillary may send an event again: so many acceptances are no repeats.
            for earlier, later in zip(rows, rows[len(records) :], strict=False):
                if records:
                    yield records[0], earlier, later

    @cached_property
    def _arrived_ms(self) -> dict[int, float]:
        return {row.request: row.at_ms for row in self.posted}

    def sent_ms(self, row: Accepted) -> float:
        """When the request that brought it was sent, at the latest."""
        return min(self._arrived_ms.get(row.request, row.at_ms), row.at_ms) - ON_ITS_WAY_MS

    def explanations(self, place: TopicPartition, first_ms: float, again_ms: float) -> list[str]:
        """Why something may have been done again between two times, other than by its answer."""
        found = []
        for span in self.spans_with(*DISTURBING):
            after_ms = 0.0
            if "freeze" in span.effects:
                after_ms = FREEZE_AFTER_MS
            elif "crash" in span.effects:
                after_ms = CRASH_AFTER_MS
            if span.during._replace(end_ms=span.during.end_ms + after_ms).meets(first_ms, again_ms):
                found.append(f"{'crash' if 'crash' in span.effects else 'fault'} {span.number}")
        for row in self.owned:
            here = (row.topic, row.partition) == place and first_ms <= row.at_ms <= again_ms
            if here and (row.what == "lost" or row.open):
                found.append(f"{row.what} {row.instance}")
            elif here and row.what != "assigned" and self.during("kafka", row.at_ms):
                found.append(f"{row.what} without a commit {row.instance}")
            elif here and self.during("kafka", row.at_ms) and (others := self._others(row)):
                found.append(f"given away unheard by {', '.join(others)}")
        return found

    def _others(self, row: Owned) -> list[str]:
        """Who else held the partition when it was assigned: they had not heard that it was gone."""
        return [
            window.instance
            for window in self.windows
            if window.place == (row.topic, row.partition)
            and window.instance != row.instance
            and window.during.begin_ms < row.at_ms < window.during.end_ms
        ]

    def during(self, effect: str, at_ms: float, slack_ms: float = 5_000.0) -> bool:
        """Whether a fault with this effect was on, or had just been."""
        return any(span.during.meets(at_ms - slack_ms, at_ms) for span in self.spans_with(effect))

    def calm(self, begin_ms: float, end_ms: float) -> bool:
        """Whether no fault was on."""
        return not any(span.during.meets(begin_ms, end_ms) for span in self.spans)


def listed(things: Sequence[object], most: int = 5) -> str:
    """The first of them as a text, and how many more there are."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(map(str, things[:most])) + more
