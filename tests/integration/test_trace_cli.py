"""``processor trace`` against a real broker: one record's whole story."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from processor.errors import Code
from processor.kafka.letter import Letter
from processor.kafka.origins import look_up
from processor.kafka.progress import Run, write
from processor.local.programs import toml
from processor.record import Position

HOSTILE = "\x1b[2J\x9b31m\u202eevil\u2066\r\n<script>=cmd()\x07"
STEERING = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066) if c not in (9, 10)]
GARBAGE = b"\x07 asha.secret@mail.test 900123456"
PRIVATE = ("asha", "900123456", GARBAGE.hex(), GARBAGE[:8].hex(" "))
CUSTOMER = 900_123_456
Tables = dict[str, Any]
Trace = Callable[..., Any]


@pytest.fixture
def tables(connector_settings: Callable[..., Tables], topic: str) -> Tables:
    return connector_settings(topic)


@pytest.fixture
def cli(run_cli: Any, tables: Tables, tmp_path: Path) -> Callable[..., Any]:
    """``cli("trace", topic, 0, 1)``: a command with the settings of `tables`."""

    def run(*arguments: object) -> Any:
        config = tmp_path / "trace.toml"
        config.write_text(toml(tables))
        return run_cli(*map(str, arguments), "--config", config)

    return run


@pytest.fixture
def trace(cli: Any) -> Trace:
    """``trace(topic, 0, 1)``: the story as JSON; nothing of the customer's is in any output."""

    def run(*arguments: object) -> Any:
        shown, document = cli("trace", *arguments), cli("trace", *arguments, "--json")
        for ran in (shown, document):
            assert ran.status == 0, ran.stderr
            for private in PRIVATE:
                assert private not in ran.stdout + ran.stderr
            assert [c for c in STEERING if c in ran.stdout + ran.stderr] == []
            assert "revealed" not in ran.stderr
        story = json.loads(document.stdout)
        assert f"Record {story['topic']} {story['partition']} {story['offset']}" in shown.stdout
        assert story["ending_because"] in shown.stdout
        return story

    return run


@pytest.fixture
def commit(broker: Any, tables: Tables, topic: str) -> Iterator[Callable[..., None]]:
    """``commit(5, metadata)``: what the connector would have committed for partition 0."""
    group = f"connect-{tables['name']}"
    consumer = Consumer({"bootstrap.servers": broker.direct_servers, "group.id": group})

    def to(offset: int, metadata: str = "") -> None:
        place = TopicPartition(topic, 0, offset, metadata=metadata)
        (answer,) = consumer.commit(offsets=[place], asynchronous=False)
        assert answer.error is None

    yield to
    consumer.close()


@pytest.fixture
def letter(tables: Tables, topic: str) -> Callable[..., dict[str, Any]]:
    """``letter(offset, …)``: arguments of ``produce`` for a dead letter of partition 0."""

    def make(offset: int, **changes: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            "source": Position(topic, 0, offset), "source_timestamp_ms": now_ms(),
            "key": b"k", "value": GARBAGE, "headers": (), "connector": tables["name"],
            "task_id": "0", "code": Code.DECODE_FRAMING, "class_name": "",
            "exception_class_name": "", "message": "m", "stacktrace": "", "fingerprint": "f",
            "targets": (), "event_id": None, "event_name": None, "schema_id": None, "attempts": 0,
            "http_status": None, "xaction_id": None, "errors": (), "failed_at": "",
            "replay_id": None, "replay_count": 0, "version": "1",
        }  # fmt: skip
        made = Letter(**given | changes)
        return {"key": made.key, "value": made.value, "headers": made.all_headers()}

    return make


@pytest.fixture
def dlq(broker: Any, topic: str) -> str:
    name: str = broker.create_topic(
        f"{topic}.dlq", partitions=2, message_timestamp_type="LogAppendTime"
    )
    return name


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_records_that_the_real_connector_ended(
    trace: Trace, cli: Any, topic: str, dlq: str, produce: Any, capillary: Any, connector: Any,
    tables: Tables, eventually: Any,
) -> None:  # fmt: skip
    event = capillary.events.of("pointsIssued")
    event["data"]["customerIdentifiers"] = {
        "customerId": CUSTOMER, "instore": {"email": "asha.secret@mail.test"}
    }  # fmt: skip
    good = capillary.record(event)
    headers = [("tenant-note", b"asha.secret")]
    garbage = {"value": GARBAGE, "key": b"asha"}
    produce(topic, [{**good, "headers": headers}, garbage, None], partition=0)
    running = connector(tables)
    eventually(
        lambda: (
            running.metric("processor_records_consumed_total") == 3
            and running.metric("processor_records_in_flight") == 0
        )
    )
    running.stop()

    delivered, buried, tombstone = (trace(topic, 0, offset) for offset in range(3))

    assert (delivered["found"], delivered["ending"]) == (True, "delivered")
    assert delivered["standing"]["where"] == "ended"
    assert delivered["letters"] == []
    assert delivered["key"].startswith("sha256:")
    assert delivered["value"] == {
        "bytes": len(good["value"]), "sha256": hashlib.sha256(good["value"]).hexdigest()
    }  # fmt: skip
    assert delivered["headers"][0]["name"] == "tenant-note"
    framing = delivered["framing"]
    assert (framing["format"], framing["schema_id"]) == (
        "confluent", str(int.from_bytes(good["value"][1:5])),
    )  # fmt: skip
    assert framing["schema_name"].endswith("PointsIssued")
    assert len(framing["schema_fingerprint"]) == 16
    assert delivered["event"]["eventId"] == event["eventId"]
    assert delivered["event"]["data"]["customerIdentifiers"]["customerId"] == "<number>"
    assert {t["target"]: t["id"] for t in delivered["today"]} == {
        "event": event["eventId"], "loyalty": event["eventId"],
    }  # fmt: skip
    assert {t["target"]: t["limit_bytes"] for t in delivered["today"]} == {
        "event": 10_000, "loyalty": 100_000,
    }  # fmt: skip
    assert (buried["ending"], buried["event"]) == ("dead_lettered", None)
    (told,) = buried["letters"]
    assert (told["code"], told["holds_this_record"]) == ("decode.framing", True)
    assert told["topic"] == dlq
    assert buried["framing"]["message"].startswith("The value cannot be read")
    assert (tombstone["ending"], tombstone["framing"]["format"]) == ("filtered", "null")
    assert "(tombstone)" in tombstone["ending_because"]

    replayed = cli("dlq", "replay", "--execute")

    assert replayed.status == 3, replayed.stderr
    again = trace(topic, 0, 1)
    assert [row["replay_count"] for row in again["letters"]] == [0, 1]
    assert again["letters"][1]["replay_id"]
    assert [row["resolution"] for row in again["letters"]] == [
        "replayed:failed:decode.framing", None,
    ]  # fmt: skip
    assert again["ending"] == "dead_lettered"
    by_letter = trace(dlq, 0, again["letters"][1]["offset"])
    assert by_letter["asked"]["topic"] == dlq
    assert (by_letter["topic"], by_letter["partition"], by_letter["offset"]) == (topic, 0, 1)
    assert "is a dead letter" in by_letter["notes"][0]


def test_a_reveal_shows_everything_and_is_written_down(cli: Any, topic: str, produce: Any) -> None:
    produce(topic, [{"value": GARBAGE, "key": b"asha", "headers": [("h", b"asha")]}], partition=0)

    shown = cli("trace", topic, 0, 0, "--reveal")
    document = json.loads(cli("trace", topic, 0, 0, "--reveal", "--json").stdout)

    assert document["key"] == "asha"
    assert bytes.fromhex(document["value"]["hex"]) == GARBAGE
    assert GARBAGE[:8].hex(" ") in shown.stdout
    (said,) = [json.loads(x) for x in shown.stderr.splitlines() if "were revealed" in x]
    assert said["record"] == f"{topic}-0@0"


def test_where_it_stands_by_the_committed_offset(
    trace: Trace, topic: str, produce: Any, commit: Any, broker: Any
) -> None:
    produce(topic, [None] * 6, partition=0)
    assert trace(topic, 0, 0)["standing"]["where"] == "no_commit"
    origin = look_up({"bootstrap.servers": broker.direct_servers}, [topic])[topic]
    commit(2, write(2, [Run(4, 5)], origin))

    found = [trace(topic, 0, offset) for offset in range(1, 6)]

    where = ["ended", "open", "open", "ended_beyond", "open"]
    assert [story["standing"]["where"] for story in found] == where
    assert [story["ending"] for story in found] == [
        "filtered", "open", "open", "filtered", "open",
    ]  # fmt: skip
    commit(2, "somebody's own")
    ignored = trace(topic, 0, 4)["standing"]
    assert (ignored["where"], bool(ignored["metadata_ignored"])) == ("open", True)


def test_a_record_that_is_gone_is_told_from_its_letter(
    trace: Trace, topic: str, dlq: str, produce: Any, letter: Any, commit: Any, broker: Any
) -> None:
    produce(topic, [{"value": GARBAGE, "key": b"k"}] * 3, partition=0)
    produce(dlq, [letter(0), letter(1, connector="another")], partition=0)
    commit(3)
    admin, place = broker.admin(), TopicPartition(topic, 0, 2)
    admin.delete_records([place])[place].result(timeout=30)

    held, lost, beyond = trace(topic, 0, 0), trace(topic, 0, 1), trace(topic, 0, 7)

    assert (held["found"], held["ending"]) == (False, "dead_lettered")
    assert f"{topic}-0@0 was removed" in held["gone"]
    assert "the log holds offsets 2 to 2" in held["gone"]
    assert held["shown_from"] == {"topic": dlq, "partition": 0, "offset": 0}
    assert held["value"]["sha256"] == hashlib.sha256(GARBAGE).hexdigest()
    assert held["letters"][0]["holds_this_record"] is None
    assert (lost["ending"], lost["value"]) == ("unknown", None)
    assert any("other connectors" in note for note in lost["notes"])
    assert "Nothing has been written" in beyond["gone"]
    assert (beyond["standing"]["where"], beyond["ending"]) == ("not_written", "open")


def test_an_aborted_record_is_gone(trace: Trace, topic: str, broker: Any, produce: Any) -> None:
    producer = Producer({"bootstrap.servers": broker.direct_servers, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value=b"v", partition=0)
    producer.flush(30)
    hidden = trace(topic, 0, 0)
    producer.abort_transaction(30)
    produce(topic, [None], partition=0)

    aborted = trace(topic, 0, 0)

    assert "unfinished transaction hides" in hidden["gone"]
    assert "its transaction was aborted" in aborted["gone"]


def test_a_letter_is_found_in_another_partition_and_one_of_another_record_is_no_end(
    trace: Trace, topic: str, dlq: str, produce: Any, letter: Any, commit: Any
) -> None:
    time_ms = now_ms()
    produce(topic, [{"value": GARBAGE, "key": b"k", "timestamp": time_ms}] * 2, partition=0)
    produce(dlq, [letter(0, source_timestamp_ms=time_ms), letter(1, value=b"other")], partition=1)
    commit(2)

    found, other = trace(topic, 0, 0), trace(topic, 0, 1)

    assert [row["partition"] for row in found["letters"]] == [1]
    assert found["ending"] == "dead_lettered"
    assert other["letters"][0]["holds_this_record"] is False
    assert other["ending"] == "unknown"
    assert any("holds another record" in note for note in other["notes"])


def test_nothing_from_a_record_steers_the_terminal(
    cli: Any, topic: str, dlq: str, produce: Any, letter: Any, commit: Any
) -> None:
    headers = [(f"name{HOSTILE}", HOSTILE.encode()), ("none", None)]
    time_ms = now_ms()
    produce(
        topic,
        [{"value": HOSTILE.encode(), "key": HOSTILE.encode(), "headers": headers}],
        partition=0,
        timestamp=time_ms,
    )
    hostile = letter(
        0, key=HOSTILE.encode(), message=HOSTILE, event_id=HOSTILE, event_name=HOSTILE,
        headers=headers, value=HOSTILE.encode(), fingerprint=HOSTILE, xaction_id=HOSTILE,
        targets=(HOSTILE,), replay_id=HOSTILE, source_timestamp_ms=time_ms,
    )  # fmt: skip
    elsewhere = letter(0, source=Position(HOSTILE, 0, 0))
    produce(dlq, [hostile, elsewhere], partition=0)
    commit(1)

    for place in ((topic, 0, 0), (dlq, 0, 1), (HOSTILE, 0, 0)):
        for options in ((), ("--json",), ("--reveal",), ("--reveal", "--json")):
            ran = cli("trace", *place, *options)

            printed = ran.stdout + ran.stderr
            assert [c for c in STEERING if c in printed] == [], (place, options)
            assert "Traceback (most recent" not in printed
            assert ran.status == (2 if place[0] == HOSTILE else 0)


def test_without_a_registry_the_rest_is_told(
    trace: Trace, topic: str, produce: Any, capillary: Any, tables: Tables
) -> None:
    from processor.local.ports import free_port

    produce(topic, [capillary.record(capillary.events.of("pointsIssued"))], partition=0)
    tables["schema_registry"]["url"] = f"http://127.0.0.1:{free_port()}"

    away = trace(topic, 0, 0)
    del tables["schema_registry"]
    none = trace(topic, 0, 0)

    for story in (away, none):
        assert (story["found"], story["event"], story["today"]) == (True, None, [])
        assert any("cannot be decoded now" in note for note in story["notes"])
        assert story["framing"]["format"] == "confluent"


@pytest.mark.parametrize(
    "place",
    [
        ("TOPIC", "0", "-1"),
        ("TOPIC", "0", str(2**63)),
        ("TOPIC", "0", "text"),
        ("TOPIC", "0", "5..3"),
        ("TOPIC", "999", "0"),
        ("TOPIC", "-1", "0"),
        ("no.such.topic", "0", "0"),
    ],
)
def test_a_wrong_argument_is_an_argument_error(
    place: tuple[str, ...], cli: Any, topic: str
) -> None:
    ran = cli("trace", *(part.replace("TOPIC", topic) for part in place))

    assert (ran.status, ran.stdout) == (2, "")
