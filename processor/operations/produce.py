"""Example events from JSON files to a Kafka topic, as Avro or as JSON."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.errors import Misconfigured, Refused, TryAgain
from processor.kafka.clients import error_of, producer_properties
from processor.schemas.folder import EventSchema, SchemaFolder
from processor.schemas.json_converter import envelope
from processor.schemas.registry import SchemaRegistry, subject_name
from processor.schemas.wire import confluent, single_object
from processor.settings import KafkaSettings

STDIN = "-"
ANSWER_S = 10.0
"""How long a broker may take to answer, and to take a record."""

_POLL_S = 0.2
_REASONS_MAX = 5
_CUSTOMER = "data.customerIdentifiers.customerId"
Progress = Callable[[int], None]
Strategy = Literal["topic", "record", "topic_record"]


@dataclass(frozen=True, slots=True)
class Sample:
    """An event from a file.

    Attributes:
        event: as the file has it, wrapping and all.
        flat: the same without Capillary's wrapping, empty when it is no event of Capillary's.
        place: file and line or number, for messages.
    """

    event: dict[str, Any] = field(repr=False)
    flat: Mapping[str, Any] = field(repr=False)
    place: str

    @property
    def name(self) -> str:
        """The event's name; empty when it has none."""
        name = self.flat.get("eventName")
        return name.strip() if isinstance(name, str) else ""


@dataclass(slots=True)
class Produced:
    """What became of the samples.

    Attributes:
        sent: records that the broker acknowledged; likewise ``sent_bytes``.
        failed: records that it did not, for the `reasons`.
        events: records by event name.
        schema_ids: ids in the registry by event name.
    """

    topic: str
    sent: int = 0
    sent_bytes: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    schema_ids: dict[str, int] = field(default_factory=dict)


class Encoder(Protocol):
    """Makes a record's value of a sample."""

    def __call__(self, sample: Sample) -> bytes:
        """The value.

        Raises:
            Misconfigured: the sample does not fit its event's schema, or the event has none.
        """


def read_samples(files: Sequence[str]) -> list[Sample]:
    """Read events from files: each an object, a list of objects, or JSON lines.

    Args:
        files: paths; ``-`` is standard input.

    Raises:
        Misconfigured: a file is missing, is not JSON, or holds something that is no object.
    """
    return [sample for file in files for sample in _samples(file)]


def _samples(file: str) -> list[Sample]:
    name = "standard input" if file == STDIN else file
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise Misconfigured(f"{name} cannot be read ({error.strerror}).") from error
    if not content.strip():
        raise Misconfigured(f"{name} is empty.")
    found = []
    for place, document in _documents(name, content):
        if not isinstance(document, dict):
            raise Misconfigured(f"{place} holds JSON, but not an object: an event is one.")
        found.append(Sample(document, _flat(document), place))
    return found


def _documents(name: str, content: bytes) -> list[tuple[str, Any]]:
    """Each JSON document of a file with its place."""
    try:
        whole = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        lines = content.splitlines()
        if not _is_json(next(line for line in lines if line.strip())):
            raise _broken(name, error.lineno, error) from error
        return _lines(name, lines)
    if isinstance(whole, list):
        return [(f"{name}, event {number}", each) for number, each in enumerate(whole, 1)]
    return [(name, whole)]


def _lines(name: str, lines: list[bytes]) -> list[tuple[str, Any]]:
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append((f"{name}, line {number}", orjson.loads(line)))
            except orjson.JSONDecodeError as error:
                raise _broken(name, number, error) from error
    return found


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _broken(name: str, line: int, error: orjson.JSONDecodeError) -> Misconfigured:
    return Misconfigured(f"{name}, line {line}, column {error.colno}: not JSON: {error.msg}.")


def _flat(document: dict[str, Any]) -> Mapping[str, Any]:
    try:
        return envelope(orjson.dumps(document))
    except (Refused, TypeError):
        return {}


def as_json(sample: Sample) -> bytes:
    """The sample as it stands in its file; nothing is checked."""
    return orjson.dumps(sample.event)


def as_single_object(sample: Sample, folder: SchemaFolder) -> bytes:
    """The event in Avro's single-object encoding, which needs no registry."""
    schema = _schema_of(sample, folder).parsed
    return single_object(schema.fingerprint, _avro(sample, folder))


def as_confluent(sample: Sample, folder: SchemaFolder, schema_ids: Mapping[str, int]) -> bytes:
    """The event as Avro in Confluent's frame."""
    return confluent(schema_ids[sample.name], _avro(sample, folder))


async def register(
    samples: Sequence[Sample],
    folder: SchemaFolder,
    registry: SchemaRegistry,
    *,
    topic: str,
    strategy: Strategy,
) -> dict[str, int]:
    """Register the schema of each event among the samples.

    Returns:
        The registry's ids by event name.

    Raises:
        Misconfigured: an event has no schema, or the registry refuses us or the schema.
        TryAgain: the registry is away.
    """
    ids: dict[str, int] = {}
    for sample in samples:
        if sample.name not in ids or not sample.name:
            event = _schema_of(sample, folder)
            subject = subject_name(strategy, topic, event.parsed.name)
            ids[sample.name] = await registry.register(subject, event.avro)
    return ids


def _schema_of(sample: Sample, folder: SchemaFolder) -> EventSchema:
    event = folder.events.get(sample.name)
    if event is None:
        raise Misconfigured(
            f"{sample.place}: the schemas folder has no Avro schema for this event; it has "
            f"{', '.join(folder.events)}.",
            mend="Send it with --format json, or correct its eventName.",
        )
    return event


def _avro(sample: Sample, folder: SchemaFolder) -> bytes:
    schema = _schema_of(sample, folder).parsed
    try:
        return schema.write(schema.from_json({**sample.flat, "eventName": sample.name}))
    except Refused as refused:
        raise Misconfigured(
            f"{sample.place}: {refused}", mend="Correct it, or send it with --format json."
        ) from refused


def key_of(sample: Sample, path: str = _CUSTOMER) -> bytes | None:
    """The record's key: the value at a dotted path of the event as text; `None`: it has none."""
    value: Any = sample.flat or sample.event
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    match value:
        case None | dict() | list() | "":
            return None
        case bool():
            return str(value).lower().encode()
        case float() if value.is_integer():
            return str(int(value)).encode()
        case _:
            return str(value).encode()


def produce(
    samples: Sequence[Sample],
    encode: Encoder,
    settings: KafkaSettings,
    *,
    topic: str,
    key_field: str = "",
    progress: Progress = lambda _done: None,
) -> Produced:
    """Send each sample as one record and wait until the broker has them all.

    Everything is encoded before anything is sent, so a mistake in one file sends nothing.

    Args:
        samples: in the order in which they are sent.
        encode: makes the values.
        settings: where Kafka is, and how to get in.
        topic: where the records go.
        key_field: dotted path of the key; empty: the customer's id.
        progress: told the number of records that have an answer.

    Raises:
        Misconfigured: a sample cannot be encoded, Kafka refuses our properties, or there is no such
            topic.
        TryAgain: no broker answers.
    """
    key = partial(key_of, path=key_field) if key_field else key_of
    records = [(sample, key(sample), encode(sample)) for sample in samples]
    done = Produced(topic)
    sending = _Sending(_producer(settings), settings.bootstrap_servers, done, progress)
    sending.reach()
    for sample, record_key, value in records:
        sending.send(sample.name, record_key, value)
    sending.finish()
    return done


def _producer(settings: KafkaSettings) -> Producer:
    properties = producer_properties(settings, "processor-produce")
    properties["message.timeout.ms"] = int(ANSWER_S * 1000)
    try:
        return Producer(properties)
    except KafkaException as error:
        kafka = error_of(error)
        raise Misconfigured(
            f"Kafka's client refuses the settings: {kafka.str() if kafka else 'unknown property'}.",
            mend="Correct kafka.properties or kafka.producer.",
        ) from error


class _Sending:
    """One producer at work, and the count of its acknowledgements."""

    def __init__(
        self, producer: Producer, servers: str, done: Produced, progress: Progress
    ) -> None:
        self._producer = producer
        self._servers = servers
        self._done = done
        self._progress = progress

    def reach(self) -> None:
        """Make sure that a broker and the topic are there before anything is queued."""
        try:
            known = self._producer.list_topics(self._done.topic, timeout=ANSWER_S)
        except KafkaException as error:
            kafka = error_of(error)
            if kafka is None or kafka.code() < 0:  # librdkafka's own: nobody answered
                raise TryAgain(
                    f"No Kafka broker at {self._servers} answered within {ANSWER_S:g} s; is it "
                    "running, and are the address and the security settings right?",
                    reason="kafka",
                ) from error
            raise Misconfigured(
                f"Kafka at {self._servers} refuses us: {kafka.str()}.", reason="kafka"
            ) from error
        topic = known.topics[self._done.topic]
        if topic.error is not None and topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise Misconfigured(
                f"Topic {topic} does not exist, or we may not see it.",
                mend="Create it, or correct --topic.",
                reason="kafka",
            )

    def send(self, name: str, key: bytes | None, value: bytes) -> None:
        """Queue one record, waiting while the queue is full."""
        while True:
            try:
                self._producer.produce(
                    self._done.topic,
                    value=value,
                    key=key,
                    on_delivery=partial(self._answered, name, len(value)),
                )
            except BufferError:
                self._producer.poll(_POLL_S)
                continue
            except KafkaException as error:
                kafka = error_of(error)
                self._failed(kafka.str() if kafka else "unknown")
            self._producer.poll(0)
            return

    def finish(self) -> None:
        """Wait for every answer; a record without one fails when its time is up."""
        while len(self._producer):
            self._producer.poll(_POLL_S)

    def _answered(self, name: str, size_bytes: int, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed(error.str())
            return
        self._done.sent += 1
        self._done.sent_bytes += size_bytes
        self._done.events[name] += 1
        self._progress(self._done.sent + self._done.failed)

    def _failed(self, reason: str) -> None:
        self._done.failed += 1
        if reason not in self._done.reasons and len(self._done.reasons) < _REASONS_MAX:
            self._done.reasons.append(reason)
        self._progress(self._done.sent + self._done.failed)
