"""``processor dlq list`` and ``show`` against a real broker."""

import hashlib
import json
import time
from typing import Any

import pytest

from processor.errors import Code
from processor.local.ports import free_port
from processor.record import Position
from tests.integration.letters import HOSTILE, STEERING, hostile_letter, letter

FIELDS = [
    "topic", "partition", "offset", "timestamp", "source_topic", "source_partition",
    "source_offset", "source_timestamp", "key", "event_id", "event_name", "schema_id", "stage",
    "code", "message", "fingerprint", "targets", "attempts", "http_status", "replay_count",
    "resolution", "connector",
]  # fmt: skip
CUSTOMER = 900_123_456


def rows(ran: Any) -> list[dict[str, Any]]:
    assert ran.status == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_letter_is_listed_with_every_field(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    produce(letters_topic, [letter(41)], partition=1)

    ran = run_cli("dlq", "list", "--json", "--config", settings_file(topic))

    (row,) = rows(ran)
    assert list(row) == FIELDS
    assert abs(time.time() - _seconds(row.pop("timestamp"))) < 120
    digest = hashlib.sha256(b"key-41").hexdigest()[:8]
    assert row == {
        "topic": letters_topic, "partition": 1, "offset": 0,
        "source_topic": "source", "source_partition": 0, "source_offset": 41,
        "source_timestamp": "2023-11-14T22:13:20.041Z",
        "key": f"sha256:{digest} (6 bytes)", "event_id": "event-41", "event_name": "pointsIssued",
        "schema_id": "7", "stage": "TRANSFORMATION", "code": "gate.violation",
        "message": "The entity breaks a rule.", "fingerprint": "0123456789ab",
        "targets": ["event", "loyalty#2"], "attempts": 2, "http_status": 400, "replay_count": 0,
        "resolution": None, "connector": "ours",
    }  # fmt: skip


def test_letters_are_found_by_what_they_are(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    config = settings_file(topic)
    produce(letters_topic, [letter(0), letter(1, code=Code.DELIVERY_REFUSED)], partition=0)
    produce(letters_topic, [letter(2, event_name="customerAdded", fingerprint="ff")], partition=1)
    produce(letters_topic, [letter(3, key=b"\x00\xff", connector="theirs")], partition=1)
    produce(letters_topic, [letter(4, key=b"\x00\xff", source=Position("s2", 3, 9))], partition=1)
    produce(letters_topic, [{"value": b"not a letter", "key": b"k"}], partition=1)

    def offsets(*options: str) -> list[int]:
        ran = run_cli("dlq", "list", "--json", "--config", config, *options)
        return [int(row["event_id"].removeprefix("event-")) for row in rows(ran)]

    assert offsets() == [0, 1, 2, 4]
    assert offsets("--all-connectors") == [0, 1, 2, 3, 4]
    assert offsets("--code", "delivery.refused", "--code", "decode.json") == [1]
    assert offsets("--stage", "task_put") == [1]
    assert offsets("--fingerprint", "FF", "--event", "customerAdded") == [2]
    assert offsets("--key", "key-1", "--key", "hex:00ff") == [1, 4]
    assert offsets("--source", "s2:3:9") == offsets("--source", "s2") == [4]
    assert offsets("--topic", f"{letters_topic}:1") == offsets("--topic", f"{topic}:1") == [2, 4]
    assert offsets("--offset", f"{letters_topic}:0:1") == [1]
    assert offsets("--by-duration", "PT1H") == [0, 1, 2, 4]
    assert offsets("--to-datetime", "2020-01-01") == []
    assert offsets("--from-offset", "1", "--to-offset", "2") == [1]


@pytest.mark.parametrize("spread", [lambda n: n % 3 % 2, lambda n: n // 4])
def test_pages_go_over_all_partitions_in_the_order_of_time_while_letters_arrive(
    spread: Any, topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    config = settings_file(topic)
    for offset in range(8):
        produce(letters_topic, [letter(offset)], partition=spread(offset))
    seen: list[str] = []
    after: list[str] = []

    while True:
        ran = run_cli("dlq", "list", "--limit", "3", "--json", "--config", config, *after)
        page = rows(ran)
        seen += [row["event_id"] for row in page]
        if "--after" not in ran.stderr:
            break
        assert len(page) == 3
        after = ["--after", ran.stderr.rpartition("--after ")[2].strip()]
        if len(seen) == 3:
            produce(letters_topic, [letter(8)], partition=0)
            produce(letters_topic, [letter(9)], partition=1)

    assert seen == [f"event-{offset}" for offset in range(10)]


def test_piped_it_is_one_line_of_columns_a_letter(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    produce(letters_topic, [letter(0), letter(1)], partition=0)

    ran = run_cli("dlq", "list", "--config", settings_file(topic))

    heading, *lines = [line.split("\t") for line in ran.stdout.splitlines()]
    assert heading[:4] == ["TIMESTAMP", "TOPIC", "PARTITION", "OFFSET"]
    assert [dict(zip(heading, line, strict=True))["OFFSET"] for line in lines] == ["0", "1"]
    assert "2 dead letters." in ran.stderr


def test_nothing_from_a_record_steers_the_terminal(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    config = settings_file(topic)
    produce(letters_topic, [hostile_letter()], partition=0)
    commands = [
        ("list",), ("list", "--reveal"), ("list", "--reveal", "--json"),
        ("show", letters_topic, "0", "0"), ("show", letters_topic, "0", "0", "--json"),
        ("show", letters_topic, "0", "0", "--reveal"),
        ("show", letters_topic, "0", "0", "--reveal", "--json"),
        ("stats",), ("stats", "--json"), ("topics",), ("topics", "--json"), ("export",),
        ("export", "--reveal"), ("export", "--format", "raw", "--reveal"),
        ("export", "--format", HOSTILE), ("stats", "--resolution", HOSTILE),
        ("import", HOSTILE), ("list", "--where", HOSTILE), ("stats", "--where", f"{HOSTILE}=1"),
        ("replay",), ("replay", "--code", HOSTILE), ("list", "--topic", HOSTILE),
        ("list", "--event", HOSTILE), ("show", HOSTILE, "0", "0"),
    ]  # fmt: skip

    for command in commands:
        ran = run_cli("dlq", *command, "--config", config)

        printed = ran.stdout + ran.stderr
        assert [c for c in STEERING if c in printed] == [], command
        assert "Traceback (most recent" not in printed


def test_show_masks_what_is_the_customer_s_and_reveal_is_written_down(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any, capillary: Any
) -> None:
    config = settings_file(topic)
    event = capillary.events.of("pointsIssued")
    event["data"]["customerIdentifiers"] = {
        "customerId": CUSTOMER, "instore": {"email": "asha.secret@mail.test"}
    }  # fmt: skip
    record = capillary.record(event)
    headers = [("tenant-note", b"asha.secret")]
    made = letter(0, **record, headers=headers, targets=("loyalty",))
    produce(letters_topic, [made], partition=0)
    show = ("dlq", "show", letters_topic, "0", "0", "--config", config)

    masked, masked_json = run_cli(*show), run_cli(*show, "--json")
    revealed, revealed_json = run_cli(*show, "--reveal"), run_cli(*show, "--reveal", "--json")

    for ran in (masked, masked_json):
        assert ran.status == 0, ran.stderr
        for private in ("asha", str(CUSTOMER), record["value"][6:16].hex()):
            assert private not in ran.stdout + ran.stderr
        assert event["eventId"] in ran.stdout
        assert hashlib.sha256(record["value"]).hexdigest() in ran.stdout
        assert "revealed" not in ran.stderr
    document = json.loads(masked_json.stdout)
    assert document["event"]["data"]["customerIdentifiers"]["customerId"] == "<number>"
    (today,) = document["today"]
    assert (today["target"], today["verdict"]) == ("loyalty", "passes")
    assert today["entity"]["loyalty"]["points"] == "<number>"
    assert document["errors"][0]["pointerToViolation"] == "#/a"
    assert "#/a: expected type: String" in masked.stdout
    assert masked_json.stdout.count("Traceback") == 1
    assert "asha.secret@mail.test" in revealed.stdout
    assert f"tenant-note ({len('asha.secret')} bytes" in masked.stdout
    told = json.loads(revealed_json.stdout)
    assert told["key"] == str(CUSTOMER)
    assert told["event"]["data"]["customerIdentifiers"]["customerId"] == CUSTOMER
    assert bytes.fromhex(told["value"]["hex"]) == record["value"]
    for ran in (revealed, revealed_json):
        (said,) = [json.loads(x) for x in ran.stderr.splitlines() if "were revealed" in x]
        assert said["record"] == f"{letters_topic}-0@0"
        assert said["who"]


def test_what_cannot_be_decoded_is_shown_by_size_and_hash(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    secret = b"\xc3\x01 asha@mail.test 4711"
    produce(letters_topic, [letter(0, value=secret, code=Code.DECODE_FRAMING)], partition=0)

    ran = run_cli("dlq", "show", letters_topic, "0", "0", "--config", settings_file(topic))

    assert ran.status == 0, ran.stderr
    assert f"{len(secret)} bytes, SHA-256 {hashlib.sha256(secret).hexdigest()}" in ran.stdout
    assert "asha" not in ran.stdout
    assert secret.hex(" ")[:20] not in ran.stdout
    assert "cannot be decoded" in ran.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--from-offset", "-1"),
        ("list", "--topic", "TOPIC:999"),
        ("list", "--topic", "no.such.topic"),
        ("show", "TOPIC", "0", "99"),
        ("show", "TOPIC", "999", "0"),
        ("show", "source", "0", "0"),
        ("replay", "--offset", "TOPIC:0:99", "--execute"),
        ("replay", "--to-offset", "5..3", "--execute"),
    ],
)
def test_a_wrong_argument_is_one_clear_sentence(
    arguments: tuple[str, ...], topic: str, letters_topic: str, produce: Any, settings_file: Any,
    run_cli: Any, simulator: Any,
) -> None:  # fmt: skip
    produce(letters_topic, [letter(0)], partition=0)
    given = [argument.replace("TOPIC", letters_topic) for argument in arguments]

    ran = run_cli("dlq", *given, "--config", settings_file(topic))

    assert (ran.status, ran.stdout) == (2, "")
    (_sentence,) = ran.stderr.strip().splitlines()
    assert simulator.received() == []


def test_a_topic_without_dead_letters_is_no_error(
    topic: str, settings_file: Any, run_cli: Any
) -> None:
    ran = run_cli("dlq", "list", "--config", settings_file(topic))

    assert (ran.status, ran.stdout) == (0, "")
    assert ran.stderr.strip() == "No dead letter matches."


@pytest.mark.parametrize("command", [("list",), ("replay", "--execute")])
def test_an_unreachable_broker_is_one_sentence_within_seconds(
    command: tuple[str, ...], topic: str, settings_file: Any, run_cli: Any
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    config = settings_file(topic, kafka={"bootstrap_servers": nowhere, "topics": ["T"]})
    started_s = time.monotonic()

    ran = run_cli("dlq", *command, "--config", config)

    assert ran.status == 1
    assert ran.stdout == ""
    (sentence,) = ran.stderr.strip().splitlines()
    assert nowhere in sentence
    assert "Connection refused" in sentence
    assert time.monotonic() - started_s < 60, "not as long as librdkafka would wait"


def _seconds(timestamp: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(timestamp).timestamp()
