"""Kafka as the model sees it: logs with gaps, one consumer group, one dead-letter topic."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_CREATE_TIME, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.errors import Misconfigured, TryAgain
from processor.kafka.letter import Letter
from processor.kafka.progress import Mark, Origin
from processor.record import Record, TopicPartition
from tests.model.judge import Judge

TOPIC = "events"
PARTITIONS = tuple(TopicPartition(TOPIC, number) for number in range(2))
HERE = Origin("cluster", "topic")
STALE_MEMBER = KafkaError.ILLEGAL_GENERATION
NOT_NOW = KafkaError.REQUEST_TIMED_OUT
LOST = TryAgain("No acknowledgement.", reason="dead_letter_topic")


class Answered(KafkaPartition):
    """As the client gives it back, with its error."""

    error = None


@dataclass(slots=True)
class Kafka:
    """The cluster.

    Attributes:
        commits: what becomes of the next commits: ``ok``, ``fail`` or ``unknown``; then ``ok``.
        letters: likewise of letters: ``ok``, ``fail``, ``unknown`` or ``hold``.
        held: letters of which the broker says nothing for now.
        tells_ids: it says whose offsets they are.
        failed: partitions whose last commit was not acknowledged.
        fenced: instances that are no members any more and have not heard of it.
    """

    judge: Judge
    commits: deque[str] = field(default_factory=deque)
    letters: deque[str] = field(default_factory=deque)
    held: list[Callable[[str], None]] = field(default_factory=list)
    tells_ids: bool = True
    failed: set[TopicPartition] = field(default_factory=set)
    fenced: set[str] = field(default_factory=set)

    @property
    def origin(self) -> Origin | None:
        """Whose offsets they are, as far as the broker tells."""
        return HERE if self.tells_ids else None

    def origins(self, topics: Collection[str]) -> Mapping[str, Origin]:
        """What :func:`processor.kafka.origins.look_up` gives."""
        return dict.fromkeys(topics, HERE) if self.tells_ids else {}

    def commit(self, who: str, partition: TopicPartition, mark: Mark) -> int | None:
        """Take a commit; gives the error's code.

        As the real one it takes any partition's offset from any member of the group.
        """
        if who in self.fenced:
            return STALE_MEMBER
        outcome = self.commits.popleft() if self.commits else "ok"
        if outcome != "fail":
            self.judge.committing(who, partition, mark, HERE)
            self.judge.committed[partition] = mark
        if outcome != "ok":
            self.failed.add(partition)
            return NOT_NOW
        self.failed.discard(partition)
        return None


class Polled(NamedTuple):
    """A record as the client hands it on."""

    record: Record

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self.record.topic

    def partition(self) -> int:
        return self.record.partition

    def offset(self) -> int:
        return self.record.offset

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, self.record.timestamp_ms or 0

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self.record.headers)


class Client:
    """A consumer of the group; hands out as many records as it may.

    Attributes:
        budget: records that the next poll gives, at most.
        lost: partitions that went to others while nobody polled.
        answers: commits by ``ok`` and ``failed``.
    """

    def __init__(self, kafka: Kafka, who: str, properties: Mapping[str, Any]) -> None:
        self._kafka = kafka
        self._who = who
        self._on_commit = properties["on_commit"]
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._answers: deque[tuple[KafkaError | None, list[KafkaPartition]]] = deque()
        self.budget = 0
        self.answers: Counter[str] = Counter()
        self.lost: list[TopicPartition] = []
        self.calls: dict[str, Callable[[Any, list[KafkaPartition]], None]] = {}

    def subscribe(self, topics: Sequence[str], **calls: Any) -> None:
        self.calls = calls

    def consume(self, _count: int, _timeout: float) -> list[Polled]:
        while self._answers:
            self._on_commit(*self._answers.popleft())
        if self.lost:
            gone, self.lost = self.lost, []
            self.calls["on_lost"](self, [KafkaPartition(*partition) for partition in gone])
            self.leave(gone)
        polled: list[Polled] = []
        for partition in sorted(self._positions.keys() - self._paused):
            for made in self._kafka.judge.log[partition]:
                if len(polled) < self.budget and made.record.offset >= self._positions[partition]:
                    polled.append(Polled(made.record))
                    self._positions[partition] = made.record.offset + 1
        self.budget = 0
        return polled

    def leave(self, partitions: Iterable[TopicPartition]) -> None:
        """These are not read any more."""
        for partition in partitions:
            self._positions.pop(partition, None)
            self._paused.discard(partition)

    def incremental_assign(self, places: Sequence[KafkaPartition]) -> None:
        for place in places:
            start = 0 if place.offset == OFFSET_BEGINNING else place.offset
            self._positions[TopicPartition(place.topic, place.partition)] = start

    def assignment(self) -> list[KafkaPartition]:
        return [KafkaPartition(*partition) for partition in self._positions]

    def position(self, places: Sequence[KafkaPartition]) -> list[KafkaPartition]:
        return [
            KafkaPartition(p.topic, p.partition, self._positions[TopicPartition(*_place(p))])
            for p in places
        ]

    def pause(self, places: Sequence[KafkaPartition]) -> None:
        self._paused |= {TopicPartition(*_place(p)) for p in places}

    def resume(self, places: Sequence[KafkaPartition]) -> None:
        self._paused -= {TopicPartition(*_place(p)) for p in places}

    def get_watermark_offsets(
        self, place: KafkaPartition, timeout: float = 0.0, *, cached: bool = False
    ) -> tuple[int, int]:
        return 0, self._kafka.judge.ends[TopicPartition(*_place(place))]

    def committed(self, places: Sequence[KafkaPartition], timeout: float) -> list[Any]:
        found = []
        for place in places:
            mark = self._kafka.judge.committed.get(TopicPartition(*_place(place)), Mark(-1001))
            found.append(Answered(*_place(place), mark.offset, metadata=mark.metadata))
        return found

    def commit(self, *, offsets: Sequence[KafkaPartition], asynchronous: bool) -> Any:
        answers: list[Any] = []
        for place in offsets:
            mark = Mark(place.offset, place.metadata or "")
            code = self._kafka.commit(self._who, TopicPartition(*_place(place)), mark)
            answer = Answered(*_place(place), place.offset, metadata=mark.metadata)
            answer.error = None if code is None else cast("Any", KafkaError(code))
            answers.append(answer)
        errors = [answer.error for answer in answers if answer.error is not None]
        self.answers["failed" if errors else "ok"] += 1
        if asynchronous:
            self._answers.append((None, answers))
            return None
        if errors:
            raise KafkaException(errors[0])
        return answers

    def list_topics(self, timeout: float) -> None:
        return

    def close(self) -> None:
        return


def _place(place: KafkaPartition) -> tuple[str, int]:
    return place.topic, place.partition


class Writer:
    """The producer of dead letters of one instance."""

    def __init__(
        self, kafka: Kafka, who: str, *, epoch_of: Callable[[TopicPartition], int | None]
    ) -> None:
        self._kafka = kafka
        self._who = who
        self._epoch_of = epoch_of
        self.gone = False

    def write(
        self,
        topic: str,
        letter: Letter,
        *,
        partition: int | None,
        acknowledged: Callable[[TryAgain | Misconfigured | None], None],
    ) -> None:
        judge = self._kafka.judge
        made = judge.writing(self._who, letter)
        if made is None:
            return
        epoch = self._epoch_of(made.partition)

        def answer(outcome: str) -> None:
            if outcome != "fail":
                told = outcome == "ok" and not self.gone
                judge.buried(self._who, made, letter, epoch, told=told)
            if not self.gone:
                acknowledged(None if outcome == "ok" else LOST)

        outcome = self._kafka.letters.popleft() if self._kafka.letters else "ok"
        if outcome == "hold":
            self._kafka.held.append(answer)
        else:
            answer(outcome)

    def close(self, timeout_s: float) -> None:
        self.gone = True


class Lookup:
    """Knows how many partitions the dead-letter topic has."""

    def __init__(self, *_args: object) -> None:
        self._known: set[str] = set()

    def known_partitions(self, topic: str) -> int | None:
        return len(PARTITIONS) if topic in self._known else None

    def dead_letter_partitions(self, topic: str, source_topic: str) -> int:
        self._known.add(topic)
        return len(PARTITIONS)

    def forget(self, topic: str) -> None:
        self._known.discard(topic)
