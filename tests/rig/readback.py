"""What is read back after a run: dead letters, every commit of the group, what the logs say."""

import io
import json
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from processor.kafka.letter import OURS, own_headers, read_letter
from processor.kafka.progress import Ignored, Origin, read
from processor.kafka.records import record_of
from processor.local.broker import NO_LOGS
from tests.rig.history import Committed, Dlq, Owned, Taskdeath
from tests.rig.invariants_records import NEEDED_HEADERS
from tests.rig.load import digest, digest_of_headers

OFFSETS_TOPIC = "__consumer_offsets"
READ_S = 60.0
END = 1 << 62
COMMIT_KEYS = {0, 1}
"""Versions of a key of ``__consumer_offsets`` that means a commit; others are about members.

Source: OffsetCommitKey.json and OffsetCommitValue.json of Apache Kafka 4.1's group coordinator.
"""


def messages(servers: str, topic: str, *, aborted_too: bool = False) -> Iterator[Message]:
    """Every record that a topic holds now; nothing when there is no such topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"reader-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted" if aborted_too else "read_committed",
        },
        logger=NO_LOGS,
    )
    try:
        known = consumer.list_topics(topic, timeout=READ_S).topics[topic]
        if known.error is not None:
            return
        consumer.assign([TopicPartition(topic, number, 0) for number in known.partitions])
        ended: set[int | None] = set()
        while len(ended) < len(known.partitions):
            message = consumer.poll(READ_S)
            if message is None:
                raise TimeoutError(f"{topic} gave nothing within {READ_S:g} s")
            if message.error() is None:
                yield message
            else:
                ended.add(message.partition())
    finally:
        consumer.close()


def letters(servers: str, topic: str) -> Iterator[Dlq]:
    """The dead letters of a topic."""
    for message in messages(servers, topic):
        record = record_of(message)
        letter = read_letter(record)
        if letter is None:
            raise ValueError(f"{record.position} is no dead letter")
        names = {name for name, _ in record.headers}
        yield Dlq(
            topic=letter.source.topic,
            partition=letter.source.partition,
            offset=letter.source.offset,
            at_ms=message.timestamp()[1],
            own_partition=record.partition,
            code=letter.code,
            targets=letter.targets,
            key=None if record.key is None else record.key.hex(),
            digest=digest(record.value),
            headers=digest_of_headers(own_headers(record)),
            event_id=letter.event_id,
            source_at_ms=letter.source_timestamp_ms,
            failed_ms=datetime.fromisoformat(letter.failed_at).timestamp() * 1000,
            replay_count=letter.replay_count,
            missing=sorted(NEEDED_HEADERS - names),
        )


def texts_of(servers: str, topic: str) -> str:
    """What we added to dead letters, as a text that can be searched."""
    found: list[Any] = []
    for message in messages(servers, topic):
        found += message.headers() or []
    ours = (OURS, "__connect.errors.")
    return "\n".join(f"{name}: {value!r}" for name, value in found if name.startswith(ours))


def commits(servers: str, group: str) -> Iterator[Committed]:
    """Every commit of a group that the broker still has, in its order."""
    for message in messages(servers, OFFSETS_TOPIC):
        found = commit_of(message.key() or b"", message.value(), message.offset() or 0)
        if found is not None and found.group == group:
            yield found


def commit_of(key: bytes, value: bytes | None, order: int) -> Committed | None:
    """A record of ``__consumer_offsets`` as a commit; `None` when it is none."""
    fields = io.BytesIO(key)
    if _number(fields, ">h") not in COMMIT_KEYS or value is None:
        return None
    group, topic, partition = _text(fields), _text(fields), _number(fields, ">i")
    fields = io.BytesIO(value)
    version = _number(fields, ">h")
    offset = _number(fields, ">q")
    if version >= 3:
        _number(fields, ">i")  # the leader's epoch
    metadata = _compact(fields) if version >= 4 else _text(fields)
    at_ms = _number(fields, ">q")
    return Committed(
        group=group, topic=topic, partition=partition, offset=offset, at_ms=at_ms, order=order,
        ended=[list(run) for run in runs_of(metadata, offset)],
    )  # fmt: skip


def runs_of(metadata: str, offset: int) -> list[tuple[int, int]]:
    """What a commit's metadata says has ended; whose it is, is not asked here."""
    metadata = metadata.rstrip("\0")  # the Python client sends the end of a C string along
    parts = metadata.split(";")
    if len(parts) < 3:
        return []
    try:
        return [(run.start, run.stop) for run in read(metadata, offset, Origin(*parts[1:3]), END)]
    except Ignored:
        return []


def _number(fields: io.BytesIO, form: str) -> int:
    number: int = struct.unpack(form, fields.read(struct.calcsize(form)))[0]
    return number


def _text(fields: io.BytesIO) -> str:
    return fields.read(_number(fields, ">h")).decode()


def _compact(fields: io.BytesIO) -> str:
    """Kafka's compact string: an unsigned varint of its length and one, then the bytes."""
    length = shift = 0
    while True:
        octet = fields.read(1)[0]
        length |= (octet & 0x7F) << shift
        shift += 7
        if not octet & 0x80:
            return fields.read(length - 1).decode()


def log_rows(instance: str, text: str) -> Iterator[Owned | Taskdeath]:
    """What one life's log says of partitions that came and went, and of tasks that died.

    A stop gives back what is left, and says so once for all of it.
    """
    held: set[str] = set()
    for line in _json_lines(text.splitlines()):
        at_ms = datetime.fromisoformat(line["timestamp"]).timestamp() * 1000
        match line.get("message"):
            case "Assigned.":
                held.update(line["partitions"])
                for name in line["partitions"]:
                    yield _owned(instance, name, at_ms, "assigned", 0)
            case "The connector stopped.":
                for name in sorted(held):
                    yield _owned(instance, name, at_ms, "stopped", 0)
                held.clear()
            case "Gave a partition back.":
                held.discard(line["partition"])
                yield _owned(instance, line["partition"], at_ms, line["why"], line["open"])
            case "A task died; it is started again.":
                yield Taskdeath(instance=instance, at_ms=at_ms, status=line["status"] or 0)


def _owned(instance: str, name: str, at_ms: float, what: str, open_: int) -> Owned:
    topic, _, partition = name.rpartition("-")
    return Owned(
        instance=instance, topic=topic, partition=int(partition), at_ms=at_ms, what=what, open=open_
    )


def _json_lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "timestamp" in found:
            yield found


def leaks(text: str, secrets: Iterable[str], forms: Callable[[str], Iterable[str]]) -> list[str]:
    """The secrets, by their first characters, that a text holds in one of their written forms."""
    return [f"{secret[:8]}…" for secret in secrets if any(f in text for f in forms(secret))]


def tail(path: Path, begin: int, end: int | None = None) -> str:
    """A part of a file, by bytes."""
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(-1 if end is None else end - begin).decode(errors="replace")
