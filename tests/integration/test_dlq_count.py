"""``dlq topics``, ``dlq stats``, ``dlq list --where`` and ``--follow`` against a real broker."""

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from processor.connector.mends import MENDS
from processor.errors import Code
from processor.kafka.letter import Glance
from processor.local.programs import clean_environment, processor_command
from processor.operations.bounds import BoundOptions
from processor.operations.letters.find import page
from processor.operations.letters.meant import LookOptions, selecting
from processor.operations.letters.options import LetterOptions
from processor.operations.reading import AHEAD, POLL_RECORDS
from processor.record import Record
from processor.settings import load
from tests.integration.letters import FORMULA, hostile_letter, letter

END_S = 60.0


class Follower:
    """``dlq list --follow`` as a process; its lines are read as they come."""

    def __init__(self, config: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            processor_command("dlq", "list", "--follow", "--config", str(config), *options),
            env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        pipes = ((self.process.stdout, self.out), (self.process.stderr, self.err))
        self._readers = [
            threading.Thread(target=lines.extend, args=[pipe], daemon=True) for pipe, lines in pipes
        ]
        for reader in self._readers:
            reader.start()

    def events(self) -> list[str]:
        return [json.loads(line)["event_id"] for line in self.out]

    def end(self) -> int:
        """Its exit status, when it has ended."""
        status = self.process.wait(END_S)
        for reader in self._readers:
            reader.join(END_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return status


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def start(config: Path, *options: str) -> Follower:
        made.append(Follower(config, *options))
        return made[-1]

    yield start
    for follower in made:
        if follower.process.poll() is None:
            follower.process.kill()
        follower.end()


def rows(ran: Any) -> list[dict[str, Any]]:
    assert ran.status == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_kinds_are_counted_the_most_frequent_first(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    config = settings_file(topic)
    refused = {"code": Code.DELIVERY_REFUSED, "fingerprint": "ff", "targets": ("profile",)}
    produce(letters_topic, [letter(0), letter(1, **refused)], partition=0)
    produce(letters_topic, [letter(2, **refused), letter(3, connector="theirs")], partition=1)
    produce(letters_topic, [letter(4, **refused, message="The last.")], partition=1)

    found = rows(run_cli("dlq", "stats", "--json", "--config", config))
    only = rows(run_cli("dlq", "stats", "--json", "--stage", "transformation", "--config", config))
    plain = run_cli("dlq", "stats", "--limit", "1", "--config", config)

    assert [(row["fingerprint"], row["count"]) for row in found] == [
        ("ff", 3),
        ("0123456789ab", 1),
    ]
    assert found[0]["sample"] == {"topic": letters_topic, "partition": 1, "offset": 2}
    assert found[0]["message"] == "The last."
    assert found[0]["mend"] == MENDS[Code.DELIVERY_REFUSED]
    assert found[0]["first_seen"] <= found[0]["last_seen"]
    assert [row["fingerprint"] for row in only] == ["0123456789ab"]
    heading, line = (line.split("\t") for line in plain.stdout.splitlines())
    assert dict(zip(heading, line, strict=True))["COUNT"] == "3"
    assert "1 kind more: --limit 0" in plain.stderr
    assert "4 dead letters of 2 kinds." in plain.stderr


def test_topics_say_whose_letters_they_hold(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any, broker: Any
) -> None:
    empty = f"{topic}-without-letters"
    config = settings_file(
        topic, kafka={"bootstrap_servers": broker.bootstrap_servers, "topics": [topic, empty]}
    )
    produce(letters_topic, [letter(0), letter(1), letter(2, connector="theirs")], partition=0)
    produce(letters_topic, [{"key": b"k", "value": b"not a letter"}], partition=1)

    found = rows(run_cli("dlq", "topics", "--json", "--config", config))
    plain = run_cli("dlq", "topics", "--config", config)
    of_all = rows(run_cli("dlq", "topics", "--all-connectors", "--json", "--config", config))

    ours, none = sorted(found, key=lambda row: not row["exists"])
    assert none == {
        "topic": f"{empty}.dlq", "exists": False, "source_topics": [empty], "partitions": 0,
        "letters": 0, "of_other_connectors": 0, "not_letters": 0, "first": None, "last": None,
        "retention_ms": None, "bytes": 0,
    }  # fmt: skip
    assert ours.pop("first") <= ours.pop("last")
    size = 3 * len(letter(0)["value"]) + len(b"key-0key-1key-2k") + len(b"not a letter")
    assert ours == {
        "topic": letters_topic, "exists": True, "source_topics": [topic], "partitions": 2,
        "letters": 2, "of_other_connectors": 1, "not_letters": 1, "retention_ms": 604_800_000,
        "bytes": size,
    }  # fmt: skip
    assert len(plain.stdout.splitlines()) == 3
    (all_letters,) = (row for row in of_all if row["exists"])
    assert (all_letters["letters"], all_letters["of_other_connectors"]) == (3, 1)


def test_a_where_looks_into_the_decoded_event(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any, capillary: Any
) -> None:
    config = settings_file(topic)
    events = [capillary.events.of("pointsIssued") for _ in range(3)]
    for number, event in enumerate(events):
        event["data"]["customerIdentifiers"]["customerId"] = 4_711 + number % 2
    records = [capillary.record(event) for event in events]
    made = [letter(number, **record) for number, record in enumerate(records)]
    produce(letters_topic, [*made, letter(3), letter(4)], partition=0)
    customer = "data.customerIdentifiers.customerId=4711"

    def looked(command: str, *wheres: str) -> tuple[list[dict[str, Any]], str]:
        options = [part for where in wheres for part in ("--where", where)]
        ran = run_cli("dlq", command, *options, "--json", "--config", config)
        return rows(ran), ran.stderr

    listed, said = looked("list", customer)
    both, _said = looked("list", customer, f"eventId={events[2]['eventId']}")
    (kind,), said_too = looked("stats", customer)

    assert [row["offset"] for row in listed] == [0, 2]
    assert [row["offset"] for row in both] == [2]
    assert kind["count"] == 2
    for text in (said, said_too):
        assert "2 dead letters could not be decoded today" in text


def test_follow_prints_what_comes_until_it_is_interrupted(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, follow: Any,
    eventually: Any, broker: Any,
) -> None:  # fmt: skip
    second = f"{topic}-2"
    config = settings_file(
        topic, kafka={"bootstrap_servers": broker.bootstrap_servers, "topics": [topic, second]}
    )
    produce(letters_topic, [letter(0), letter(1)], partition=0)
    following = follow(config, "--json", "--code", "gate.violation")
    eventually(lambda: any("Following" in line for line in following.err))

    produce(letters_topic, [letter(2), letter(3, code=Code.DECODE_JSON)], partition=0)
    produce(letters_topic, [letter(4)], partition=1)
    eventually(lambda: len(following.out) == 2)
    broker.create_topic(f"{second}.dlq", partitions=1)  # made by the first letter of its source
    produce(f"{second}.dlq", [letter(5)])
    eventually(lambda: len(following.out) == 3)
    following.process.send_signal(signal.SIGINT)

    assert following.end() == 130
    assert sorted(following.events()) == ["event-2", "event-4", "event-5"]
    assert "Traceback" not in "".join(following.err)


def test_follow_goes_on_after_a_range_and_misses_nothing_in_between(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, follow: Any, eventually: Any
) -> None:
    config = settings_file(topic)
    produce(letters_topic, [letter(number) for number in range(20)], partition=0)
    following = follow(config, "--json", "--by-duration", "PT1H", "--limit", "60")

    for number in range(20, 60):
        produce(letters_topic, [letter(number)], partition=0)

    assert following.end() == 0
    assert following.events() == [f"event-{number}" for number in range(60)]


def test_follow_waits_for_a_broker_that_is_away(
    make_broker: Any, settings_file: Any, follow: Any, eventually: Any, produce: Any
) -> None:
    own = make_broker()
    own.create_topic("events.dlq", partitions=1)
    kafka = {"bootstrap_servers": own.bootstrap_servers, "topics": ["events"]}
    following = follow(settings_file("events", kafka=kafka), "--json", "--limit", "1")
    eventually(lambda: any("Following" in line for line in following.err))

    own.stop()
    eventually(lambda: any("Waiting for it." in line for line in following.err), timeout_s=120)
    own.start()
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": own.bootstrap_servers})
    producer.produce("events.dlq", **letter(7))
    assert producer.flush(60) == 0

    assert following.end() == 0
    assert following.events() == ["event-7"]


def test_follow_has_no_end(
    topic: str, letters_topic: str, settings_file: Any, run_cli: Any
) -> None:
    ran = run_cli("dlq", "list", "--follow", "--to-latest", "--config", settings_file(topic))

    assert (ran.status, ran.stdout) == (2, "")
    assert "--follow goes on without an end" in ran.stderr


def test_the_first_page_looks_at_a_part_of_the_topic_however_long_it_is(
    topic: str, letters_topic: str, produce: Any, settings_file: Any
) -> None:
    for partition in (0, 1):
        letters = [letter(number) for number in range(8_000)]
        produce(letters_topic, letters, partition=partition)
    settings = load(settings_file(topic), {})
    options = LookOptions(LetterOptions(), BoundOptions().read(datetime.now(UTC)))
    looked_at = 0

    with selecting(settings, options) as chosen:

        def look(record: Record) -> Glance | None:
            nonlocal looked_at
            looked_at += 1
            return chosen.meant.look(record)

        shown = page(chosen.reader, chosen.spans, look, limit=50)

    assert len(shown.letters) == 50
    assert looked_at <= len(chosen.spans) * (AHEAD + POLL_RECORDS)


def test_a_spreadsheet_finds_no_formula_in_the_columns(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any
) -> None:
    config = settings_file(topic)
    produce(letters_topic, [hostile_letter(0, FORMULA)], partition=0)

    for command in (("list", "--reveal"), ("stats",), ("topics",)):
        ran = run_cli("dlq", *command, "--config", config)

        assert ran.status == 0, ran.stderr
        cells = [cell for line in ran.stdout.splitlines() for cell in line.split("\t")]
        assert [cell for cell in cells if cell[0] in "=+@" or cell[0] == "-" != cell] == []
        assert f"'{FORMULA}" in cells or command == ("topics",)


def test_a_reader_that_leaves_is_no_traceback(
    topic: str, letters_topic: str, produce: Any, settings_file: Any
) -> None:
    produce(letters_topic, [letter(number) for number in range(3_000)], partition=0)
    config = str(settings_file(topic))
    with subprocess.Popen(
        processor_command("dlq", "list", "--limit", "0", "--json", "--config", config),
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process, contextlib.ExitStack() as held:  # fmt: skip
        held.callback(process.kill)
        assert process.stdout is not None
        assert process.stderr is not None
        first = json.loads(process.stdout.readline())
        process.stdout.close()
        err = process.stderr.read()
        process.wait(END_S)

    assert first["event_id"] == "event-0"
    assert process.returncode == 1
    assert "Traceback" not in err
