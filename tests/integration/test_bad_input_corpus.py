"""The bad-input corpus through a running connector: what only a real broker can show."""

import json
import random
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from processor.demo.events import SampleEvents
from tests.corpus.cases import ROWS
from tests.corpus.inputs import as_avro, event
from tests.corpus.rows import Input, Row

LARGEST_BYTES = 200_000
"""``max.message.bytes`` of the topics for large records."""
NO_IDENTITY = {"data.customerIdentifiers": None}
TOPIC, PARTITION, OFFSET = (f"__connect.errors.{name}" for name in ("topic", "partition", "offset"))
BAD = tuple(
    row
    for row in ROWS
    if row.verdict.fate in {"dead_letter", "refuse_schema"}
    and not (row.settings or row.folder)
    # Above what a topic takes by default.
    and row.name not in {"B46 a value of more than 4 MB", "B48 4 MB of JSON values"}
    and not row.what.startswith(("1,000,000 one-byte", "JSON 1,000,000", "a recursive record, 1,0"))
    and row.what not in {"a decimal of 1 MiB", "a text of 1 MB"}
)
KEYS = (None, b"", b"x" * 10_000, bytes(range(256)), b"\0" + struct.pack(">I", 7) + b"\x02k")
FORGED: list[tuple[str, bytes | None]] = [
    ("__connect.errors.topic", b"elsewhere"),
    ("__connect.errors.partition", b"7"),
    ("__connect.errors.offset", b"999"),
    ("processor.code", b"gate.violation"),
    ("processor.targets", b"loyalty"),
    ("processor.replay.count", b"41"),
]
HEADERS: tuple[list[tuple[str, bytes | None]], ...] = (
    [],
    [("one", b"1")],
    [(f"h{n % 7}", struct.pack(">I", n)) for n in range(1_000)],
    [("same", b"1"), ("same", None), ("same", b"\xff\0")],
    [("large", b"x" * 100_000)],
    [("<script>alert(1)</script>", b'"><img onerror=alert(1)>'), ("=cmd()", b"=cmd()")],
    FORGED,
)


class RealRegistry:
    """Registers the rows' schemas, each under a subject of its own."""

    def __init__(self, url: str, topic: str) -> None:
        self._url, self._topic = url, topic
        self._ids: dict[str, int] = {}

    def id_of(self, schema: Any, kind: str = "AVRO") -> int:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        if text not in self._ids:
            answer = httpx.post(
                f"{self._url}/subjects/{self._topic}-{len(self._ids)}/versions",
                json={"schema": text, "schemaType": kind},
                timeout=60,
                trust_env=False,
            )
            self._ids[text] = int(answer.raise_for_status().json()["id"])
        return self._ids[text]


@pytest.fixture
def rows_registry(registry: Any, topic: str) -> RealRegistry:
    return RealRegistry(registry.url, topic)


def record(given: Input, key: bytes | None = b"k") -> dict[str, Any]:
    return {"value": given.value, "headers": list(given.headers), "key": key}


def story(letter: Any) -> dict[str, str]:
    """What we added to a letter."""
    headers = letter.headers()
    names = [name for name, _ in headers]
    start = len(names) - 1 - names[::-1].index(TOPIC)
    return {name: value.decode() for name, value in headers[start:]}


def own(letter: Any) -> list[tuple[str, bytes | None]]:
    """The headers that the record came with."""
    headers: list[tuple[str, bytes | None]] = letter.headers()
    names = [name for name, _ in headers]
    return headers[: len(names) - 1 - names[::-1].index(TOPIC)]


HALVES = {"pointsIssued": ("event", "loyalty"), "customerAdded": ("profile", "event")}
"""Where a record of such an event fails alone, and where it is delivered all the same."""


def is_half(letter: Any, name: str) -> bool:
    """Whether an event's record failed at one of its two targets only."""
    told = story(letter)
    same = told.get("processor.event.id") == event(name)["eventId"]
    return same and told["processor.targets"] == HALVES[name][0]


def buried(running: Any) -> float:
    count: float = running.metric("processor_records_dead_lettered_total")
    return count


def test_of_a_mixed_batch_only_the_bad_records_leave(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    arrives: Any, eventually: Any, read_topic: Any, rows_registry: Any, balanced: Any,
    simulator: Any,
) -> None:  # fmt: skip
    good, expected = capillary.records(99)
    bad: dict[bytes, tuple[Row, Input]] = {}
    for row in BAD:
        for number, given in enumerate(row.inputs(rows_registry)):
            bad[f"{row.name} #{number}".encode()] = (row, given)
    records = [*good, *(record(given, key) for key, (_, given) in bad.items())]
    random.Random(65).shuffle(records)
    produce(topic, records)

    running = connector(connector_settings(topic))

    # What fails at one target is delivered to the other, and named so in its letter.
    half_good = {name: (to, event(name)["eventId"]) for name, (_, to) in HALVES.items()}
    for target, id_ in half_good.values():
        expected[target].add(id_)
    arrives(expected, once=False)
    eventually(lambda: buried(running) == len(bad))
    letters = {letter.key(): letter for letter in read_topic(f"{topic}.dlq")}
    assert letters.keys() == bad.keys()
    came = Counter((one["inlet"], one["_id"]) for one in simulator.accepted())
    for name, place in half_good.items():
        halves = [m for m in letters.values() if is_half(m, name)]
        assert came.pop(place) == len(halves) > 0
    assert set(came.values()) == {1}
    for key, (row, given) in bad.items():
        assert letters[key].value() == given.value
        assert story(letters[key])["processor.code"] == row.verdict.why, row.name
    eventually(lambda: running.metric("processor_records_in_flight") == 0)
    assert balanced(running)
    assert "died" not in running.log.read_text()


def test_keys_and_headers_stay_as_they_were_and_are_not_believed(
    topic: str, broker: Any, fresh_name: Any, produce: Any, connector: Any, connector_settings: Any,
    eventually: Any, read_topic: Any, arrives: Any, capillary: Any, rows_registry: Any,
    simulator: Any,
) -> None:  # fmt: skip
    (bad,) = as_avro("transactionAdded", NO_IDENTITY)(rows_registry)
    odd = broker.create_topic(fresh_name("odd"))
    points = capillary.events.of("pointsIssued")
    good = {**capillary.record(points), "headers": FORGED}
    records = [
        *({**record(bad, key), "headers": [("kind", b"key")]} for key in KEYS),
        *({**record(bad), "headers": headers} for headers in HEADERS),
    ]
    produce(topic, [good, good])
    produce(odd, records)

    running = connector(connector_settings(topic, odd))

    eventually(lambda: buried(running) == len(records))
    eventually(lambda: running.metric("processor_records_delivered_total") == 2)
    arrives({target: {points["eventId"]} for target in ("event", "loyalty")}, once=False)
    assert len(simulator.accepted()) == 4
    letters = sorted(read_topic(f"{odd}.dlq"), key=lambda m: int(story(m)[OFFSET]))
    assert [letter.key() for letter in letters] == [one["key"] for one in records]
    assert [own(letter) for letter in letters] == [one["headers"] for one in records]
    assert {letter.value() for letter in letters} == {bad.value}
    for offset, told in enumerate(map(story, letters)):
        assert (told[TOPIC], told[PARTITION], told[OFFSET]) == (odd, "0", str(offset))
        assert told["processor.code"] == "mapping.no_identity"
        assert (told["processor.replay.count"], told["processor.targets"]) == ("0", "event")


def test_a_hot_key_keeps_its_order_and_starves_nobody(
    topic: str, produce: Any, connector: Any, connector_settings: Any, capillary: Any,
    eventually: Any, simulator: Any,
) -> None:  # fmt: skip
    hot = [one_customer(capillary.events) for _ in range(1_000)]
    others = [capillary.events.of("pointsIssued") for _ in range(20)]
    produce(topic, [capillary.record(one) for one in [*hot, *others]], partition=0)
    running = connector({**connector_settings(topic), "delivery": {"linger_ms": 1}})

    eventually(lambda: running.metric("processor_records_delivered_total") == 1_020, timeout_s=90)

    came = [message["_id"] for message in simulator.accepted("loyalty")]
    place = {id_: number for number, id_ in enumerate(came)}
    of_hot = [place[one["eventId"]] for one in hot]
    assert of_hot == sorted(of_hot)
    assert len(came) == 1_020
    # Polled behind the thousand, accepted long before the last of them.
    assert max(place[one["eventId"]] for one in others) < of_hot[-1]


def one_customer(events: SampleEvents) -> dict[str, Any]:
    made = events.of("pointsIssued")
    made["data"]["customerIdentifiers"] = events.identifiers(9_999)
    return made


def largest(broker: Any, topic: str) -> bytes:
    """Produce the largest value that the topic takes; nothing can decode it, or make it smaller."""
    noise = b"\x07" + random.Random(60).randbytes(LARGEST_BYTES)
    refusals: list[KafkaError | None] = []
    producer = Producer(
        {"bootstrap.servers": broker.direct_servers, "message.max.bytes": 2 * LARGEST_BYTES}
    )
    for size in range(LARGEST_BYTES, LARGEST_BYTES - 200, -1):
        value = noise[:size]
        producer.produce(
            topic, value, key=b"k", on_delivery=lambda error, _: refusals.append(error)
        )
        producer.flush(30)
        if refusals[-1] is None:
            return value
    raise AssertionError(refusals[-1])


def test_a_record_as_large_as_its_topic_takes_is_never_dropped(
    topic: str, broker: Any, fresh_name: Any, produce: Any, connector: Any, connector_settings: Any,
    eventually: Any, read_topic: Any, rows_registry: Any,
) -> None:  # fmt: skip
    large, tight = (
        broker.create_topic(fresh_name(name), max_message_bytes=LARGEST_BYTES)
        for name in ("large", "tight")
    )
    broker.create_topic(f"{tight}.dlq", max_message_bytes=LARGEST_BYTES)
    values = {name: largest(broker, name) for name in (large, tight)}
    # Each control character takes one byte in Avro and six in JSON.
    (long,) = as_avro("transactionAdded", {"data.billNumber": "\x01" * 300_000})(rows_registry)
    produce(topic, [record(long)])
    settings = {**connector_settings(topic, large, tight), "gate": {"on_profile_limit": "send"}}
    running = connector(settings, start=False)
    running.launch()

    eventually(lambda: "max.message.bytes" in json.dumps(running.readyz()[1]), timeout_s=60)
    eventually(lambda: buried(running) == 2)
    assert running.readyz()[0] == 503
    assert running.metric("processor_records_in_flight") == 1
    assert read_topic(f"{tight}.dlq") == []
    widen(broker, f"{tight}.dlq", 2 * LARGEST_BYTES)

    eventually(lambda: buried(running) == 3, timeout_s=60)
    eventually(lambda: running.readyz()[0] == 200)
    found = {name: read_topic(f"{name}.dlq") for name in (topic, large, tight)}
    said = {name: (one.value(), story(one)) for name, (one,) in found.items()}
    assert said[large][0] == values[large]
    assert said[large][1]["__connect.errors.exception.stacktrace"]
    assert said[tight][0] == values[tight]
    assert not said[tight][1]["__connect.errors.exception.stacktrace"]
    assert said[topic][0] == long.value
    assert said[topic][1]["processor.code"] == "delivery.too_large"


def widen(broker: Any, topic: str, largest_bytes: int) -> None:
    entry = ConfigEntry(
        "max.message.bytes", str(largest_bytes), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = broker.admin()  # it answers as long as it is held
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)


def test_batches_that_are_compressed_a_thousandfold_are_in_memory_only_once(
    topic: str, broker: Any, connector: Any, connector_settings: Any, eventually: Any,
    capillary: Any, arrives: Any, produce: Any,
) -> None:  # fmt: skip
    good, expected = capillary.records(20)
    unmapped = json.dumps({"eventName": "groupCreated", "padding": " " * 900_000}).encode()
    bomb = Producer(
        {"bootstrap.servers": broker.direct_servers, "compression.type": "zstd", "linger.ms": 50}
    )
    produce(topic, good[:10])
    for _ in range(400):
        bomb.produce(topic, unmapped, partition=0)
        bomb.poll(0)
        if len(bomb) > 50:
            bomb.flush(30)
    bomb.flush(30)
    produce(topic, good[10:])

    running = connector(connector_settings(topic))

    arrives(expected)
    eventually(
        lambda: running.metric("processor_records_filtered_total", reason="unmapped_event") == 400
    )
    assert peak_mb(running.log.parent) < 600, "100 MB of our own, and 360 MB in one fetch"


def peak_mb(directory: Path) -> float:
    """Peak memory of the largest process of a connector, which has this directory's settings."""
    parents: dict[int, int] = {}
    peaks: dict[int, float] = {}
    ours: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(x.split(":", 1) for x in status.read_text().splitlines())
            pid = int(fields["Pid"])
            parents[pid] = int(fields["PPid"])
            peaks[pid] = int(fields["VmHWM"].split()[0]) / 1024
            if str(directory) in (status.parent / "cmdline").read_bytes().decode(errors="replace"):
                ours.add(pid)
        except (OSError, KeyError):
            continue  # it has ended, or is the kernel's
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    assert len(ours & peaks.keys()) > 1, "a supervisor and its task"
    return max(peaks[pid] for pid in ours & peaks.keys())
