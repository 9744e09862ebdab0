"""What happened in a run, as rows that can be written as JSON lines and read back.

Times are Unix milliseconds; rig, broker, simulator and connectors run on one machine with one
clock. In JSON ``row`` is the name of the row's class in lower case.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

from processor.record import Position, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What was run, as far as invariants depend on it.

    Attributes:
        ordered: inlets that ask for order per key.
        cap: records that one task may hold, at most, with what was polled before it was full.
        messages: of one request, at most; `request_bytes` likewise.
        requests: in flight of one task, at most.
        rss_mb: resident memory of one task's process, at most, in MiB; 0: not held to any.
        drain_s: how long a stop may take before it gives up.
        liveness_s: how long nothing may move while there is work and nothing is wrong.
    """

    group: str
    topics: Sequence[str]
    ordered: Sequence[str] = ()
    tasks: int = 1
    cap: int = 0
    messages: int = 500
    request_bytes: int = 1_000_000
    requests: int = 16
    rss_mb: float = 0.0
    drain_s: float = 25.0
    liveness_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """A record that the broker acknowledged, and what should become of it.

    Attributes:
        key: hexadecimal; `None` for none.
        digest: SHA-256 of the value, `None` for a tombstone; `headers` of the headers.
        fate: ``deliver``, ``dead_letter``, ``filter``, or ``abort`` (of an aborted transaction).
        why: the codes or reasons that it may end with.
        messages: by inlet, the ``_id``s that should be accepted.
    """

    topic: str
    partition: int
    offset: int
    at_ms: float
    key: str | None = None
    digest: str | None = None
    headers: str = ""
    event_id: str | None = None
    fate: str = "deliver"
    why: Sequence[str] = ()
    messages: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request that reached the simulator, and how it was answered.

    Attributes:
        door: ``ims``, ``single`` or ``batch``.
        token: number of the token that was used or minted.
        told: the answer left whole and said what was decided.
    """

    request: int
    door: str
    inlet: str
    at_ms: float
    duration_ms: float | None
    status: int | None
    outcome: str
    messages: int = 0
    bytes: int = 0
    in_flight: int = 0
    token: int | None = None
    told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A message that the simulator took; whether it told so is another fact."""

    order: int
    request: int
    inlet: str
    id: str | None
    at_ms: float
    told: bool = True
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that the simulator refused."""

    order: int
    request: int
    inlet: str
    id: str | None
    at_ms: float
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlq:
    """A dead letter as it was read back; ``at_ms`` is the broker's time.

    Attributes:
        failed_ms: when the connector sent it, by the letter's own words.
        topic, partition, offset: of the original record, by the letter's headers.
        own_partition: of the letter.
        missing: headers that it should have and has not.
    """

    topic: str
    partition: int
    offset: int
    at_ms: float
    own_partition: int
    code: str
    targets: Sequence[str] = ()
    key: str | None = None
    digest: str | None = None
    headers: str = ""
    event_id: str | None = None
    source_at_ms: float | None = None
    failed_ms: float | None = None
    replay_count: int = 0
    missing: Sequence[str] = ()

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A commit as the broker keeps it.

    Attributes:
        order: place in ``__consumer_offsets``.
        ended: runs of offsets beyond it that have ended: start, and the one after the last.
    """

    group: str
    topic: str
    partition: int
    offset: int
    at_ms: float
    order: int
    ended: Sequence[Sequence[int]] = ()

    @property
    def place(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A connector's process began; `instance` is new at each start."""

    instance: str
    at_ms: float
    tasks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A connector's process ended.

    Attributes:
        how: ``kill``, ``term``, ``term_twice`` (what was done to it), or ``died``.
        since_ms: when it was asked to.
    """

    instance: str
    at_ms: float
    code: int
    how: str
    since_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Taskdeath:
    """A task's process ended unasked, by the supervisor's log."""

    instance: str
    at_ms: float
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """An instance says that a partition came (``assigned``), or went: the rest of `what`.

    It was ``revoked`` or ``lost``, or the instance ``stopped``.

    Attributes:
        open: records that were in flight when it went.
    """

    instance: str
    topic: str
    partition: int
    at_ms: float
    what: str
    open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """``/metrics`` of an instance.

    Attributes:
        books: by partition (``topic-0``): consumed, delivered, dead_lettered, filtered, released,
            in_flight.
        filtered: by reason.
        counters: other counters, monotone within an instance.
        rss_mb: resident memory of its largest process, in MiB.
    """

    instance: str
    at_ms: float
    books: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    filtered: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    rss_mb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """``/readyz`` of an instance; status 0 when nothing answered."""

    instance: str
    at_ms: float
    status: int
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault began or ended.

    Attributes:
        number: of the fault; begin and end have the same.
        phase: ``begin`` or ``end``.
        effects: what it may lead to; see :class:`tests.rig.index.Span`.
    """

    number: int
    kind: str
    phase: str
    at_ms: float
    effects: Sequence[str] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """The end of a run: load and faults are over, and everything was waited for.

    Attributes:
        drained: everything had been committed in time.
        lag: what had not, by partition.
    """

    at_ms: float
    drained: bool
    waited_s: float
    lag: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """Output that was searched for what nobody may print."""

    where: str
    bytes: int
    leaks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A replay that finished.

    Attributes:
        members: topic, partition and offset of each original record.
    """

    begin_ms: float
    end_ms: float
    members: Sequence[Sequence[Any]]


Row = (
    Setup | Produced | Posted | Accepted | Refused | Dlq | Committed | Started | Exit | Taskdeath
    | Owned | Scrape | Ready | Fault | Quiet | Scanned | Replayed
)  # fmt: skip
KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (
        Setup, Produced, Posted, Accepted, Refused, Dlq, Committed, Started, Exit, Taskdeath,
        Owned, Scrape, Ready, Fault, Quiet, Scanned, Replayed,
    )
}  # fmt: skip
R = TypeVar("R")


class Interval(NamedTuple):
    """Two times in Unix milliseconds."""

    begin_ms: float
    end_ms: float

    def meets(self, begin_ms: float, end_ms: float) -> bool:
        return self.begin_ms <= end_ms and begin_ms <= self.end_ms


class History:
    """Rows in the order in which they were added, from any thread; perhaps in a file too."""

    def __init__(self, rows: Iterable[Row] = (), *, file: Path | None = None) -> None:
        self._rows: list[Row] = []
        self._lock = threading.Lock()
        self._file = file.open("ab") if file is not None else None
        self.add(*rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *rows: Row) -> None:
        with self._lock:
            self._rows.extend(rows)
            if self._file is not None and rows:
                self._file.write(b"".join(map(line, rows)))
                self._file.flush()

    def of(self, kind: type[R]) -> list[R]:
        """The rows of one kind."""
        return [row for row in list(self._rows) if isinstance(row, kind)]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def line(row: Row) -> bytes:
    """A row as a line of JSON."""
    kind = type(row).__name__.lower()
    return orjson.dumps({"row": kind, **asdict(row)}, option=orjson.OPT_APPEND_NEWLINE)


def read(path: Path) -> History:
    """The history that a file holds."""
    rows = []
    for text in path.read_bytes().splitlines():
        fields: dict[str, Any] = orjson.loads(text)
        rows.append(KINDS[fields.pop("row")](**fields))
    return History(rows)
