"""What the model knows of the world, and the invariants that it holds the product to.

Each broken invariant is noted under its number in the fault catalogue, and raised by
:meth:`Judge.verdict`: an error in the middle of the product's own tasks would be taken for one of
the product's. *Evidence* belongs to one assignment of one instance: what another one saw settled
is nothing that this one may commit, unless its committed offset and metadata said so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from processor.errors import Code, Stage
from processor.kafka.letter import Letter, read_letter
from processor.kafka.progress import NOTHING, Ended, Ignored, Mark, Origin, read
from processor.record import Record, TopicPartition
from tests.model.kinds import Key, Made

ORDERED = "profile"


class BrokenError(AssertionError):
    """An invariant does not hold.

    Attributes:
        invariant: its number, such as ``I2``.
    """

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


@dataclass(slots=True)
class Evidence:
    """What one assignment saw: clear acceptances, and acknowledged letters by what they name."""

    confirmed: set[Key] = field(default_factory=set)
    buried: dict[int, set[str]] = field(default_factory=dict)

    def settles(self, made: Made) -> bool:
        """Whether the record has ended."""
        if made.kind.filtered is not None:
            return True
        buried = self.buried.get(made.serial, set())
        if "" in buried:
            return True
        return all(
            name in buried or (key is not None and key in self.confirmed)
            for name, key in made.names.items()
        ) and bool(made.names)


@dataclass(slots=True)
class Owned:
    """A partition while an instance has it.

    Attributes:
        start: where it began.
        covered: what an earlier assignment had ended beyond that.
        epoch: the product's own number of the assignment, once it has one.
    """

    start: int
    covered: Ended
    epoch: int | None = None


@dataclass(slots=True, eq=False)
class Posted:
    """A request as it arrived.

    Attributes:
        epochs: the product's assignment of each message's partition, as it was sent.
        stale: whoever sent it has gone, or has given up waiting.
    """

    who: str
    target: str
    keys: list[Key]
    epochs: dict[TopicPartition, int | None]
    began_s: float
    stale: bool = False


class Judge:
    """Notes what happens and says what must not have happened."""

    def __init__(self) -> None:
        self.made: dict[int, Made] = {}
        self.log: defaultdict[TopicPartition, list[Made]] = defaultdict(list)
        self.ends: defaultdict[TopicPartition, int] = defaultdict(int)
        self.committed: dict[TopicPartition, Mark] = {}
        self.owners: dict[TopicPartition, str] = {}
        self.owned: dict[tuple[str, TopicPartition], Owned] = {}
        self.evidence: defaultdict[tuple[str, TopicPartition, int | None], Evidence] = defaultdict(
            Evidence
        )
        self.accepted: Counter[Key] = Counter()
        self.refused: set[Key] = set()
        self.old_news_is_wrong = False
        self.skipped: set[int] = set()
        self.excused: set[Key] = set()
        self.unclean: set[TopicPartition] = set()
        self.letters: list[Letter] = []
        self._written: set[tuple[int, str]] = set()
        self._acknowledged: set[Key] = set()
        self._identities: dict[Key, tuple[str, bytes]] = {}
        self._by_id: dict[tuple[str, str], Key] = {}
        self._doubts: defaultdict[tuple[str, Key], list[tuple[float, float, bool]]] = defaultdict(
            list
        )
        self._acceptances: defaultdict[tuple[str, str], list[tuple[float, Key]]] = defaultdict(list)
        self._broken: list[BrokenError] = []

    def broken(self, invariant: str, text: str) -> None:
        """Note a broken invariant."""
        self._broken.append(BrokenError(invariant, text))

    def verdict(self) -> None:
        """Raise the first invariant that was broken."""
        if self._broken:
            raise self._broken[0]

    def at(self, partition: TopicPartition, offset: int) -> Made | None:
        """The record at an offset; `None` in a gap."""
        return next((m for m in self.log[partition] if m.record.offset == offset), None)

    def is_stale(self, who: str, partition: TopicPartition, epoch: int | None) -> bool:
        """Whether this assignment is over, whatever its instance knows of that."""
        owned = self.owned.get((who, partition))
        return self.owners.get(partition) != who or owned is None or owned.epoch != epoch

    # Kafka.

    def produced(self, made: Made) -> None:
        """A record stands in its log."""
        self.made[made.serial] = made
        self.log[made.partition].append(made)
        self.ends[made.partition] = made.record.offset + 1

    def assigned(self, who: str, partition: TopicPartition, origin: Origin | None) -> None:
        """A partition begins at what is committed; what was accepted beyond has to be explained."""
        mark = self.committed.get(partition, Mark(0))
        covered = NOTHING
        try:
            covered = read(mark.metadata, mark.offset, origin, self.ends[partition])
        except Ignored:
            self.unclean.add(partition)
        self.owned[who, partition] = Owned(mark.offset, covered)
        for made in self.log[partition]:
            offset = made.record.offset
            if offset < mark.offset or covered.covers(offset):
                continue
            for key in made.keys:
                if not self.accepted[key] and key not in self._acknowledged:
                    continue
                if partition not in self.unclean and key not in self.excused:
                    self.broken("I7", f"{key} of {partition}@{offset} would be sent again")
                self.excused.add(key)
        self.unclean.discard(partition)

    def committing(
        self, who: str, partition: TopicPartition, mark: Mark, origin: Origin | None
    ) -> None:
        """A commit reaches the broker: everything below it, and what it names, has ended."""
        owned = self.owned.get((who, partition))
        if owned is None:
            self.broken("I4", f"{who} commits {partition}, which is not its own")
            return
        before = self.committed.get(partition, Mark(0)).offset
        if mark.offset < before:
            self.broken("I3", f"{partition} goes back from {before} to {mark.offset}")
        if mark.offset > self.ends[partition]:
            self.broken("I23", f"{mark.offset} is beyond the end of {partition}")
        ended = NOTHING
        try:
            ended = read(mark.metadata, mark.offset, origin, self.ends[partition])
        except Ignored as why:
            if origin is not None:
                self.broken("I2", f"the metadata of {partition}@{mark.offset} is no use: {why}")
        for made in self.log[partition]:
            offset = made.record.offset
            if offset < owned.start or owned.covered.covers(offset):
                continue
            if offset < mark.offset or ended.covers(offset):
                self._ended(who, made, owned)

    def _ended(self, who: str, made: Made, owned: Owned) -> None:
        if self.evidence[who, made.partition, owned.epoch].settles(made):
            return
        others = [
            epoch
            for (other, partition, epoch), evidence in self.evidence.items()
            if (other, partition) == (who, made.partition) and evidence.settles(made)
        ]
        if others:
            self.broken("I4", f"{made.record.position} ended in epochs {others}, not {owned.epoch}")
        else:
            self.broken("I2", f"{made.record.position} ({made.kind}) is committed and not settled")

    def reset(self, partition: TopicPartition, offset: int) -> None:
        """An operator sets the committed offset, while nobody owns the partition."""
        self.committed[partition] = Mark(offset)
        self.unclean.add(partition)
        for made in self.log[partition]:
            if made.record.offset < offset:
                self.skipped.add(made.serial)
            else:
                self.skipped.discard(made.serial)

    # Experience Platform.

    def posted(self, posted: Posted, ids: Iterable[str], bodies: Iterable[bytes]) -> None:
        """A request arrives."""
        seen: set[tuple[TopicPartition, bytes | None]] = set()
        for key, identity, body in zip(posted.keys, ids, bodies, strict=True):
            made = self.made[key.serial]
            partition, offset = made.partition, made.record.offset
            if posted.epochs[partition] is None:
                self.broken("I4", f"{posted.who} sends {key} of {partition}, which it gave back")
            owned = self.owned.get((posted.who, partition))
            if owned is not None and (offset < owned.start or owned.covered.covers(offset)):
                self.broken("I6", f"{key} is sent again, though its end was committed")
            if self._identities.setdefault(key, (identity, body)) != (identity, body):
                self.broken("I9", f"{key} goes by another _id, or looks otherwise, than before")
            if self._by_id.setdefault((key.target, identity), key) != key:
                self.broken("I9", f"{key} has the _id of {self._by_id[key.target, identity]}")
            lane = (partition, made.record.key)
            if key.target == ORDERED and lane in seen:
                self.broken("I8", f"two of one key in a request: {posted.keys}")
            seen.add(lane)

    def accept(self, posted: Posted, keys: Iterable[Key], *, stale: bool, now_s: float) -> None:
        """Experience Platform has these messages; whether we hear of it is another matter."""
        for key in keys:
            if stale:
                self.excused.add(key)
            else:
                self._repeated(key)
                if key.target == ORDERED and not self.accepted[key]:
                    self._in_order(posted.who, key)
            self.accepted[key] += 1
            self._acceptances[posted.who, posted.target].append((now_s, key))

    def _repeated(self, key: Key) -> None:
        if key in self._acknowledged and key not in self.excused:
            self.broken("I5", f"{key} is accepted, and was dead-lettered")
        elif self.accepted[key] and key not in self.excused:
            self.broken("I6", f"{key} is accepted again, for no reason")
        self.excused.discard(key)

    def _in_order(self, who: str, key: Key) -> None:
        """Earlier messages of its key were accepted, or failed: those let later ones go.

        And what had failed, and is accepted all the same, comes before the later ones; where
        nobody resets offsets or replays, which sends what became a letter once more.
        """
        made = self.made[key.serial]
        if self.old_news_is_wrong:
            for later in self.log[made.partition]:
                behind = later.record.offset > made.record.offset
                if behind and later.record.key == made.record.key:
                    for other in later.keys:
                        if other.target == ORDERED and self.accepted[other]:
                            self.broken("I8", f"{key} is accepted after {other}")
        for earlier in self.log[made.partition]:
            if earlier is made:
                return
            if earlier.record.key != made.record.key or earlier.serial in self.skipped:
                continue
            letters = {(earlier.serial, name) for name in (*earlier.names, "")}
            for other in earlier.keys:
                if (
                    other.target == ORDERED
                    and not self.accepted[other]
                    and not letters & self._written
                    and other not in self.refused
                    and not self._convicted(who, other)
                ):
                    self.broken("I8", f"{key} is accepted before {other}")

    def answered(
        self, posted: Posted, accepted: Iterable[Key], refused: Iterable[Key], *, clear: bool
    ) -> None:
        """An answer leaves; unless it is clear and somebody waits, its acceptances are unknown."""
        refused = set(refused)
        for key in accepted:
            if not clear or posted.stale:
                self.excused.add(key)
                continue
            partition = self.made[key.serial].partition
            self.evidence[posted.who, partition, posted.epochs[partition]].confirmed.add(key)
        if clear and not posted.stale:
            self.refused |= refused

    def doubted(self, posted: Posted, now_s: float) -> None:
        """An answer leaves that gives no verdict."""
        for key in posted.keys:
            place = (posted.began_s, now_s, len(posted.keys) == 1)
            self._doubts[posted.who, key].append(place)

    # Dead letters.

    def writing(self, who: str, letter: Letter) -> Made | None:
        """A letter is handed to the producer: it must be right, and complete."""
        made = self.at(TopicPartition(*letter.source[:2]), letter.source.offset)
        if made is None:
            self.broken("I11", f"a letter about {letter.source}, where there is no record")
            return None
        self._complete(made, letter)
        names = letter.targets or ("",)
        self._written |= {(made.serial, name) for name in names}
        lives = [x.replay_count for x in self.letters if x.source == letter.source]
        if letter.replay_id is not None and letter.replay_count > max(lives, default=0) + 1:
            self.broken("I22", f"the letter about {letter.source} counts replays wrongly")
        for name in names:
            if not self._deserved(who, made, name, letter):
                moment = letter.stage is Stage.TASK_PUT and made.kind.breaks == ""
                number = "I13" if moment and letter.code is not Code.DELIVERY_REFUSED else "I12"
                self.broken(number, f"a letter about {name} of {made.record.position}: {letter}")
        return made

    def _complete(self, made: Made, letter: Letter) -> None:
        record = made.record
        written = Record(
            f"{record.topic}.dlq", 0, 0, 1, letter.key, letter.value, letter.all_headers()
        )
        whole = read_letter(written) == letter and all(
            (
                letter.key == record.key,
                letter.value == record.value,
                list(letter.headers) == list(record.headers),
                letter.source_timestamp_ms == record.timestamp_ms,
                letter.version,
                letter.fingerprint,
                letter.failed_at,
            )
        )
        if not whole:
            self.broken("I11", f"the letter about {record.position} is not complete: {letter}")

    def _deserved(self, who: str, made: Made, name: str, letter: Letter) -> bool:
        kind = made.kind
        if not name:
            return kind.unreadable is not None and letter.code is kind.unreadable
        if name in kind.unmapped:
            return True
        key = made.names.get(name)
        if key is None:
            return False
        return key in self.refused or self._convicted(who, key)

    def _convicted(self, who: str, key: Key) -> bool:
        """Promise 2: it failed, the inlet accepted somebody else, and it failed again, alone."""
        doubts = self._doubts[who, key]
        if not doubts or not doubts[-1][2]:
            return False
        last_s = doubts[-1][1]
        others = [s for s, other in self._acceptances[who, key.target] if other != key]
        return any(ended_s <= s <= last_s for _, ended_s, _ in doubts[:-1] for s in others)

    def buried(
        self, who: str, made: Made, letter: Letter, epoch: int | None, *, told: bool
    ) -> None:
        """The letter stands in its topic; whether the processor hears of it is another matter."""
        self.letters.append(letter)
        names = set(letter.targets) or {""}
        if told:
            evidence = self.evidence[who, made.partition, epoch]
            evidence.buried.setdefault(made.serial, set()).update(names)
        stale = self.is_stale(who, made.partition, epoch)
        for name in names:
            for key in made.keys if not name else filter(None, [made.names.get(name)]):
                if self.accepted[key] and key not in self.excused and not stale:
                    self.broken("I5", f"{key} is dead-lettered, and was accepted")
                self._acknowledged.add(key)
                if stale or not told:
                    self.excused.add(key)

    def replayed(self, who: str, wanted: Mapping[int, set[str]]) -> None:
        """A replay has ended: what it was to send has an end, and nothing else was sent."""
        for serial, names in wanted.items():
            made = self.made[serial]
            evidence = self.evidence[who, made.partition, 1]
            buried = evidence.buried.get(serial, set())
            sent = {name for name, key in made.names.items() if key in evidence.confirmed}
            if made.kind.filtered is None and "" not in buried and names - buried - sent:
                self.broken("I22", f"the replay left {names - buried - sent} of {made.names}")
            if (buried | sent) - names - {""}:
                self.broken("I22", f"the replay sent {sent}, buried {buried}; asked for {names}")

    # At the end.

    def everything_ended(self) -> list[Made]:
        """What has no end yet, in any life of anybody."""
        whole = Evidence()
        for evidence in self.evidence.values():
            whole.confirmed |= evidence.confirmed
            for serial, names in evidence.buried.items():
                whole.buried.setdefault(serial, set()).update(names)
        return [
            made
            for made in self.made.values()
            if made.serial not in self.skipped and not whole.settles(made)
        ]
