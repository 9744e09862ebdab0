"""``processor reconcile`` on a real broker, with records that the real connector ended."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from processor.errors import Code
from processor.kafka.letter import Letter
from processor.local.ports import free_port
from processor.local.programs import toml
from processor.operations.reading import ANSWER_S
from processor.record import Position

START_S = 45.0
"""A busy machine takes so long at most to start a program and end it."""

GARBAGE = b"\x07 no event"
Tables = dict[str, Any]


@pytest.fixture
def tables(connector_settings: Callable[..., Tables], topic: str) -> Tables:
    return connector_settings(topic)


@pytest.fixture
def dlq(broker: Any, topic: str) -> str:
    """The dead-letter topic, created beforehand as the docs advise."""
    name: str = broker.create_topic(
        f"{topic}.dlq", partitions=2, message_timestamp_type="LogAppendTime"
    )
    return name


@pytest.fixture
def reconcile(run_cli: Any, tables: Tables, topic: str, tmp_path: Path) -> Callable[..., Any]:
    """``reconcile("--to-latest")``: status, the books by partition, and the total."""

    def run(*options: str, topics: str = topic) -> Any:
        config = tmp_path / "reconcile.toml"
        config.write_text(toml(tables))
        ran = run_cli("reconcile", "--topic", topics, "--json", "--config", config, *options)
        assert ran.stdout, ran.stderr
        *books, total = [json.loads(line) for line in ran.stdout.splitlines()]
        assert total["total"] is True
        for row in [*books, total]:
            ended = row["delivered_by_inference"] + row["dead_lettered"]
            left_out = sum(row["filtered"].values())
            assert row["consumed"] == ended + left_out + row["open"] + row["unexplained"]
        return ran.status, {row["partition"]: row for row in books}, total

    return run


@pytest.fixture
def commit(broker: Any, tables: Tables, topic: str) -> Callable[..., None]:
    """``commit({0: 5})``: the group's offsets, as a connector would leave them."""

    def offsets(by_partition: dict[int, int]) -> None:
        group = tables["kafka"].get("group_id", f"connect-{tables['name']}")
        consumer = Consumer({"bootstrap.servers": broker.direct_servers, "group.id": group})
        places = [TopicPartition(topic, p, offset) for p, offset in by_partition.items()]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    return offsets


@pytest.fixture
def letter(tables: Tables, topic: str) -> Callable[..., dict[str, Any]]:
    """``letter(record, offset)``: arguments of ``produce`` for a dead letter of that record."""

    def make(record: dict[str, Any], offset: int, **changes: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            "source": Position(topic, 0, offset), "source_timestamp_ms": record["timestamp"],
            "key": record.get("key"), "value": record["value"], "headers": (),
            "connector": tables["name"], "task_id": "0", "code": Code.DECODE_FRAMING,
            "class_name": "", "exception_class_name": "", "message": "m", "stacktrace": "",
            "fingerprint": "f", "targets": (), "event_id": None, "event_name": None,
            "schema_id": None, "attempts": 0, "http_status": None, "xaction_id": None,
            "errors": (), "failed_at": "", "replay_id": None, "replay_count": 0, "version": "1",
        }  # fmt: skip
        made = Letter(**given | changes)
        return {"key": made.key, "value": made.value, "headers": made.all_headers()}

    return make


@pytest.fixture
def remove_before(broker: Any) -> Callable[[str, int], None]:
    """``remove_before(topic, 2)``: of partition 0, as retention would."""

    def remove(topic: str, offset: int) -> None:
        admin = broker.admin()
        place = TopicPartition(topic, 0, offset)
        admin.delete_records([place])[place].result(timeout=30)

    return remove


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def bad(count: int) -> list[dict[str, Any]]:
    return [{"value": GARBAGE, "timestamp": now_ms()} for _ in range(count)]


def whats(row: dict[str, Any]) -> dict[str, str]:
    return {finding["what"]: finding["weight"] for finding in row["findings"]}


def test_the_books_of_a_real_run_balance(
    connector: Any, tables: Tables, topic: str, dlq: str, produce: Any, capillary: Any,
    eventually: Any, reconcile: Any, run_cli: Any, tmp_path: Path,
) -> None:  # fmt: skip
    good, _ = capillary.records(20)
    produce(topic, [*good, *bad(3), None, None], partition=0)
    produce(topic, [*good[:5], GARBAGE], partition=1)
    running = connector(tables)
    eventually(
        lambda: (
            running.metric("processor_records_consumed_total") == 31
            and running.metric("processor_records_in_flight") == 0
        )
    )
    running.stop()
    produce(topic, good[:4], partition=1)

    status, books, total = reconcile()

    assert (status, total["verdict"]) == (0, "balanced")
    assert books[0]["delivered_by_inference"] == 20
    assert (books[0]["dead_lettered"], books[0]["filtered"]) == (3, {"tombstone": 2})
    assert (books[1]["dead_lettered"], books[1]["open"], books[1]["consumed"]) == (1, 4, 10)
    assert total["consumed"] == 35
    assert any("Kafka holds no receipt" in sentence for sentence in total["rests_on"])
    ran = run_cli("reconcile", "--topic", f"{topic}:0", "--config", tmp_path / "reconcile.toml")
    assert ran.status == 0
    told = "delivered 20 (inferred) + dead-lettered 3 + filtered 2 (tombstone 2) + open 0"
    assert f"consumed 25 = {told}" in ran.stdout
    assert "verdict: balanced" in ran.stdout


def test_a_running_connector_under_load_is_never_accused(
    connector: Any, tables: Tables, topic: str, dlq: str, produce: Any, capillary: Any,
    eventually: Any, reconcile: Any,
) -> None:  # fmt: skip
    produce(topic, [None], partition=0)
    produce(topic, [None], partition=1)
    connector(tables)
    eventually(lambda: reconcile()[0] == 0, 60)

    for _ in range(3):
        for partition in range(2):
            good, _ = capillary.records(300)
            produce(topic, [*bad(20), *good, *bad(20)], partition=partition)
        status, _, total = reconcile()

        assert (status, total["verdict"]) == (0, "balanced"), total


def test_nothing_is_committed_or_created(
    topic: str, produce: Any, reconcile: Any, broker: Any, tables: Tables
) -> None:
    produce(topic, bad(1), partition=0)

    reconcile()

    admin = broker.admin()
    groups = {group.group_id for group in admin.list_consumer_groups().result().valid}
    assert not [name for name in groups if name.startswith(f"connect-{tables['name']}")]
    assert f"{topic}.dlq" not in admin.list_topics(timeout=10).topics


def test_several_letters_of_one_record_count_it_once_and_a_letter_ahead_is_named(
    topic: str, dlq: str, produce: Any, letter: Any, commit: Any, reconcile: Any
) -> None:
    records = bad(3)
    produce(topic, records, partition=0)
    again = letter(records[0], 0, replay_id="r", replay_count=1)
    produce(dlq, [letter(records[0], 0), again, letter(records[1], 1)], partition=0)
    produce(dlq, [letter(records[2], 2)], partition=1)
    commit({0: 2})

    status, books, _ = reconcile()

    assert (status, books[0]["dead_lettered"], books[0]["open"]) == (0, 2, 1)
    assert whats(books[0]) == {"letter_of_open_record": "note"}


def test_gaps_of_transactions_are_no_records_and_a_letter_of_one_is_a_contradiction(
    topic: str, dlq: str, produce: Any, letter: Any, commit: Any, reconcile: Any, broker: Any
) -> None:
    producer = Producer({"bootstrap.servers": broker.direct_servers, "transactional.id": topic})
    producer.init_transactions(30)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.produce(topic, value=None, key=b"k", partition=0)
        producer.flush(30)
        end(30)
    commit({0: 4})

    sound = reconcile()
    produce(dlq, [letter(bad(1)[0], 0)], partition=0)
    unsound = reconcile()

    assert (sound[0], sound[1][0]["consumed"], sound[1][0]["filtered"]) == (0, 1, {"tombstone": 1})
    assert (unsound[0], unsound[2]["verdict"]) == (3, "not balanced")
    assert whats(unsound[1][0]) == {"letter_without_record": "contradiction"}


def test_what_an_unfinished_transaction_hides_cannot_be_proven(
    topic: str, dlq: str, produce: Any, commit: Any, reconcile: Any, broker: Any
) -> None:
    produce(topic, [None], partition=0)
    producer = Producer({"bootstrap.servers": broker.direct_servers, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    for name in (topic, dlq):
        producer.produce(name, value=b"v", partition=0)
    producer.flush(30)
    commit({0: 2})

    hidden = reconcile()
    producer.abort_transaction(30)
    shown = reconcile()

    assert (hidden[0], hidden[2]["verdict"]) == (3, "not provable")
    assert whats(hidden[1][0]) == {
        "unfinished_transaction": "doubt", "dead_letter_topic_hidden": "doubt",
    }  # fmt: skip
    assert shown[0] == 0


def test_what_was_never_written_contradicts(
    topic: str, dlq: str, produce: Any, letter: Any, commit: Any, reconcile: Any
) -> None:
    record = bad(1)[0]
    produce(topic, [record], partition=0)
    produce(dlq, [letter(record, 0), letter(record, 77)], partition=0)
    produce(dlq, [letter(record, 1, source=Position(topic, 9, 1))], partition=1)
    commit({0: 1, 1: 50})

    status, books, total = reconcile()

    assert (status, total["verdict"]) == (3, "not balanced")
    assert whats(books[0]) == {"letter_beyond_log_end": "contradiction"}
    assert whats(books[1]) == {"commit_beyond_log_end": "contradiction"}
    assert whats(total) == {"letter_without_partition": "contradiction"}


def test_a_record_that_lost_its_letter_is_not_claimed_as_delivered(
    topic: str, dlq: str, produce: Any, commit: Any, reconcile: Any
) -> None:
    produce(topic, [*bad(2), None], partition=0)
    commit({0: 3})

    status, books, total = reconcile()

    assert (status, total["verdict"]) == (3, "not provable")
    assert (books[0]["unexplained"], books[0]["delivered_by_inference"]) == (2, 0)
    assert whats(books[0]) == {"would_fail_today": "doubt"}


def test_letters_that_are_not_of_this_record_prove_nothing(
    topic: str, dlq: str, produce: Any, letter: Any, commit: Any, reconcile: Any
) -> None:
    records = bad(3)
    produce(topic, records, partition=0)
    unknown = letter(records[2], 2)
    unknown["headers"] = [h for h in unknown["headers"] if h[0] != "processor.code"]
    produce(
        dlq,
        [letter(records[0], 0, value=b"other"), letter(records[1], 1, connector="b"), unknown],
        partition=0,
    )
    commit({0: 3})

    status, books, _ = reconcile()

    assert (status, books[0]["unexplained"], books[0]["verdict"]) == (3, 3, "not provable")
    assert set(whats(books[0])) == {
        "letter_of_another_record", "another_connectors_letter", "unreadable_letter",
    }  # fmt: skip


def test_schemas_that_changed_since_are_seen_by_letters_that_would_pass_now(
    topic: str, dlq: str, produce: Any, letter: Any, commit: Any, reconcile: Any, capillary: Any
) -> None:
    records = [{**record, "timestamp": now_ms()} for record in capillary.records(2)[0]]
    produce(topic, records, partition=0)
    produce(
        dlq,
        [
            letter(records[0], 0, code=Code.MAPPING_EXPRESSION),
            letter(records[1], 1, code=Code.DELIVERY_REFUSED),
        ],
        partition=0,
    )
    commit({0: 2})

    status, books, _ = reconcile()

    (finding,) = books[0]["findings"]
    assert (status, books[0]["dead_lettered"]) == (3, 2)
    assert (finding["what"], finding["offsets"]) == ("schemas_changed", [0])


def test_what_retention_took_cannot_be_proven(
    topic: str,
    dlq: str,
    produce: Any,
    letter: Any,
    commit: Any,
    reconcile: Any,
    remove_before: Any,
) -> None:
    records = bad(3)
    produce(topic, [*records, None], partition=0)
    produce(dlq, [letter(record, offset) for offset, record in enumerate(records)], partition=0)
    commit({0: 4})
    before = reconcile()
    remove_before(topic, 2)

    whole, left = reconcile(), reconcile("--from-earliest")
    from_zero, later = reconcile("--from-offset", "0"), reconcile("--from-offset", "2")
    by_time = reconcile("--by-duration", "PT1H")
    remove_before(dlq, 1)
    cut = reconcile("--from-earliest")

    assert [ran[0] for ran in (before, whole, left, from_zero, later, by_time, cut)] == [
        0, 3, 0, 3, 0, 3, 3,
    ]  # fmt: skip
    assert whats(whole[1][0]) == whats(from_zero[1][0]) == {"removed": "doubt"}
    assert whats(by_time[1][0]) == {"removed": "doubt"}
    assert (left[1][0]["from_offset"], left[1][0]["consumed"]) == (2, 2)
    assert whats(cut[1][0]) == {"dead_letters_removed": "doubt"}


def test_without_commits_or_a_dead_letter_topic_nothing_can_be_proven(
    topic: str, produce: Any, commit: Any, reconcile: Any
) -> None:
    produce(topic, [None], partition=0)

    no_commit = reconcile()
    commit({0: 1})
    no_topic = reconcile()

    assert (no_commit[0], whats(no_commit[1][0])) == (3, {"no_commit": "doubt"})
    assert no_commit[1][0]["open"] == 1
    assert whats(no_commit[1][1]) == {}, "an empty partition has nothing to prove"
    assert (no_topic[0], whats(no_topic[1][0])) == (3, {"no_dead_letter_topic": "doubt"})


def test_records_removed_before_they_ended_are_named(
    topic: str, dlq: str, produce: Any, commit: Any, reconcile: Any, remove_before: Any
) -> None:
    produce(topic, [None] * 4, partition=0)
    commit({0: 1})
    remove_before(topic, 3)

    status, books, _ = reconcile("--from-earliest")

    assert status == 3
    assert whats(books[0]) == {"commit_before_log_start": "doubt"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--topic", "no.such.topic"),
        ("--topic", "T:9"),
        ("--topic", "T.dlq"),
        ("--topic", "T", "--from-offset", "-1"),
        ("--topic", "T", "--from-offset", "5", "--to-offset", "5"),
    ],
)
def test_a_wrong_argument_is_one_clear_sentence(
    arguments: tuple[str, ...], topic: str, dlq: str, run_cli: Any, tables: Tables, tmp_path: Path
) -> None:
    config = tmp_path / "reconcile.toml"
    config.write_text(toml(tables))
    given = [argument.replace("T", topic, 1) if argument[0] == "T" else argument
             for argument in arguments]  # fmt: skip

    ran = run_cli("reconcile", *given, "--config", config)

    assert (ran.status, ran.stdout) == (2, "")
    (_sentence,) = ran.stderr.strip().splitlines()


def test_an_unreachable_broker_is_one_sentence_and_soon(
    run_cli: Any, tables: Tables, topic: str, tmp_path: Path
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    tables["kafka"]["bootstrap_servers"] = nowhere
    config = tmp_path / "reconcile.toml"
    config.write_text(toml(tables))
    started_s = time.monotonic()

    ran = run_cli("reconcile", "--topic", topic, "--json", "--config", config)

    assert (ran.status, ran.stdout) == (1, "")
    (sentence,) = ran.stderr.strip().splitlines()
    assert nowhere in sentence
    assert time.monotonic() - started_s < ANSWER_S + START_S
