"""What a source of records is asked for, and what it tells the task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from processor.errors import ProcessorError
from processor.kafka.progress import Mark, Origin
from processor.record import Record, TopicPartition


class ConsumerEnded(ProcessorError):
    """The consumer cannot go on, and starting it again would not help (it was fenced)."""


class Start(NamedTuple):
    """Where a partition begins, as the broker reports it.

    Attributes:
        offset: the group's committed offset, `None` when there is none.
        metadata: what was committed along with it.
        origin: whose offsets they are, `None` when the broker does not tell.
        end: the offset after the log's last record; asked for only where there is metadata.
        generation: of this assignment; a commit that was decided for it carries it back.
    """

    offset: int | None
    metadata: str = ""
    origin: Origin | None = None
    end: int | None = None
    generation: int = 0


class Intake(Protocol):
    """What the source tells the task; every call arrives on the task's event loop, in order."""

    def assigned(self, starts: Mapping[TopicPartition, Start]) -> None:
        """These partitions are ours from here, and begin there."""

    def revoking(
        self,
        partitions: Sequence[TopicPartition],
        drained: Callable[[Mapping[TopicPartition, Mark]], None],
    ) -> None:
        """These partitions go: drain them, then call ``drained`` with what to commit."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are someone else's already: commit nothing for them."""

    def arrived(self, records: Sequence[Record]) -> None:
        """Polled records; the task calls :meth:`Source.taken` when it has them."""

    def committed(self, marks: Mapping[TopicPartition, Mark], error: str | None) -> None:
        """The broker acknowledged a commit, or did not."""

    def lagging(self, lags: Mapping[TopicPartition, int]) -> None:
        """Records between the next one to read and the end, by partition."""

    def trouble(self, reason: str, message: str, *, who: str, of_setup: bool) -> None:
        """Something keeps the source from reading."""

    def trouble_over(self, reason: str, *, who: str) -> None:
        """That no longer holds."""

    def exhausted(self) -> None:
        """Every range has been read to its end; only with :class:`Ranges`."""

    def failed(self, error: Exception) -> None:
        """The source has ended: :class:`ConsumerEnded`, or a defect, in one of these calls too."""


class Teller:
    """Has the loop make calls of an :class:`Intake`.

    Args:
        post: hands a call to the loop, as ``loop.call_soon_threadsafe`` does.
        failed: called on the loop when a call raises: a defect, which the loop would only log.
        gone: called when there is no loop any more.
    """

    def __init__(
        self,
        post: Callable[..., object],
        *,
        failed: Callable[[Exception], None],
        gone: Callable[[], None],
    ) -> None:
        self._post = post
        self._failed = failed
        self._gone = gone

    def __call__(self, call: Callable[..., None], *args: object, **named: object) -> None:
        """Have the loop make this call, after those before it."""

        def made() -> None:
            try:
                call(*args, **named)
            except Exception as error:  # noqa: BLE001 - told, never swallowed
                self._failed(error)

        try:
            self._post(made)
        except RuntimeError:
            self._gone()


@dataclass(frozen=True, slots=True)
class Subscription:
    """Read topics as a member of the consumer group.

    Attributes:
        topics: names, or regular expressions that begin with ``^``.
        begin: for a partition without a committed offset, ``earliest`` or ``latest``.
        out_of_range: ``pause``, ``earliest`` or ``latest``.
    """

    topics: tuple[str, ...]
    begin: Literal["earliest", "latest"]
    out_of_range: Literal["pause", "earliest", "latest"]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Read these offsets and no others, outside any group's assignment.

    Attributes:
        spans: by partition, first offset and the one after the last.
        wanted: whether a record within a span is handed on, by partition and offset; called on
            the consumer's thread.
        starts: where to begin within a span, and what had ended beyond that; a partition that is
            left out begins at its span's first offset, and its commits say nothing beyond theirs.
    """

    spans: Mapping[TopicPartition, tuple[int, int]]
    wanted: Callable[[TopicPartition, int], bool] = lambda _partition, _offset: True
    starts: Mapping[TopicPartition, Start] = field(default_factory=dict)

    def first(self, partition: TopicPartition) -> Start:
        """Where a partition begins."""
        return self.starts.get(partition) or Start(self.spans[partition][0])

    def left(self) -> set[TopicPartition]:
        """The partitions in which there is something to read."""
        return {p for p, (_, end) in self.spans.items() if (self.first(p).offset or 0) < end}
