"""``processor check`` against a real broker, registry and simulator."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AclOperation, ResourceType

from processor.errors import Misconfigured
from processor.kafka.state import StateTopic
from processor.local.broker import Broker
from processor.local.ports import free_port
from processor.local.programs import toml
from processor.schemas.folder import SchemaFolder
from processor.settings import SchemasSettings, load
from tests.integration.conftest import TARGETS
from tests.integration.letters import letter

DAY_MS = 86_400_000
Tables = dict[str, Any]
Check = Callable[[Mapping[str, Any]], tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def check(run_cli: Callable[..., Any], tmp_path: Path) -> Check:
    """Runs ``processor check --json``: the exit status, and the findings by subject."""

    def run(tables: Mapping[str, Any]) -> tuple[int, dict[str, dict[str, str]]]:
        file = tmp_path / "checked.toml"
        file.write_text(toml(tables))
        file.chmod(0o600)
        ran = run_cli("check", "--json", "--config", file)
        assert ran.stderr == ""
        findings = [json.loads(line) for line in ran.stdout.splitlines()]
        return ran.status, {finding["subject"]: finding for finding in findings}

    return run


def not_ok(findings: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {
        subject: finding["status"]
        for subject, finding in findings.items()
        if finding["status"] != "ok"
    }


def test_a_set_up_that_works(
    check: Check, connector_settings: Callable[..., Tables], topic: str
) -> None:
    tables = connector_settings(topic)

    status, findings = check(tables)

    assert (status, not_ok(findings)) == (0, {})
    assert findings[f"topic {topic}"]["message"] == "can be read, 2 partitions"
    assert "will be created" in findings[f"topic {topic}.dlq"]["message"]
    assert "will be created" in findings[f"topic {tables['name']}.state"]["message"]


def test_the_check_creates_nothing(
    check: Check, connector_settings: Callable[..., Tables], topic: str, broker: Broker
) -> None:
    check(connector_settings(topic))

    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics


def test_topics_that_are_there_already(
    check: Check, connector_settings: Callable[..., Tables], topic: str, broker: Broker
) -> None:
    tables = connector_settings(topic)
    broker.create_topic(f"{topic}.dlq", partitions=2, retention_ms=30 * DAY_MS)
    broker.create_topic(f"{tables['name']}.state", cleanup_policy="compact")

    status, findings = check(tables)

    assert (status, not_ok(findings)) == (0, {})
    assert findings[f"topic {topic}.dlq"]["message"] == "can be written, 2 partitions"
    assert findings[f"settings of {topic}.dlq"]["message"] == "dead letters are kept for 30 days"
    assert findings[f"letters in {topic}.dlq"]["message"] == "there are none"


def test_what_is_wrong_with_topics_is_told_with_the_mend(
    check: Check,
    connector_settings: Callable[..., Tables],
    topic: str,
    broker: Broker,
    fresh_name: Callable[[str], str],
) -> None:
    missing = fresh_name("missing")
    tables = connector_settings(topic, missing)
    tables["errors"] = {"deadletterqueue_topic_replication_factor": 3}
    broker.create_topic(f"{tables['name']}.state", cleanup_policy="delete")

    status, findings = check(tables)

    assert status == 3
    assert findings[f"topic {missing}"]["message"] == "It does not exist."
    letters = findings[f"topic {topic}.dlq"]
    assert letters["status"] == "bad"
    assert letters["mend"] == "Lower errors.deadletterqueue_topic_replication_factor."
    state = findings[f"cleanup.policy of {tables['name']}.state"]
    assert state["mend"] == f"Set cleanup.policy=compact on {tables['name']}.state."


def test_a_pattern_names_the_topics_it_finds_and_none_of_ours(
    check: Check,
    connector_settings: Callable[..., Tables],
    broker: Broker,
    fresh_name: Callable[[str], str],
) -> None:
    prefix = fresh_name("pattern")
    for name in (f"{prefix}.a", f"{prefix}.b", f"{prefix}.a.dlq"):
        broker.create_topic(name)
    tables = connector_settings()
    tables["kafka"] |= {"topics": [], "topics_regex": rf"^{prefix}\."}

    status, findings = check(tables)

    assert status == 0
    assert [subject for subject in findings if subject.startswith(f"topic {prefix}")] == [
        f"topic {prefix}.a",
        f"topic {prefix}.b",
        f"topic {prefix}.a.dlq",
        f"topic {prefix}.b.dlq",
    ]
    assert findings[f"topic {prefix}.a.dlq"]["message"] == "can be written, 1 partition"


def test_a_broker_that_advertises_an_address_nobody_reaches(
    check: Check,
    connector_settings: Callable[..., Tables],
    make_broker: Callable[..., Broker],
) -> None:
    nowhere = free_port()
    own = make_broker(advertised_port=nowhere)
    tables = connector_settings("some.topic")
    tables["kafka"]["bootstrap_servers"] = f"127.0.0.1:{own.port}"

    status, findings = check(tables)

    assert status == 3
    assert findings["broker 1"]["status"] == "bad"
    assert f"127.0.0.1:{nowhere}" in findings["broker 1"]["message"]
    assert "advertised.listeners" in findings["broker 1"]["mend"]


SOURCE, LETTERS = "events", "events.dlq"
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP


def needed(tables: Tables) -> dict[str, tuple[ResourceType, str, AclOperation]]:
    """Every right that `run` needs, by what the check should then say; topics are all there."""
    state, group = f"{tables['name']}.state", f"connect-{tables['name']}"
    rights = (
        (TOPIC, SOURCE, AclOperation.READ),
        (GROUP, group, AclOperation.READ),
        (TOPIC, LETTERS, AclOperation.WRITE),
        (TOPIC, state, AclOperation.READ),
        (TOPIC, state, AclOperation.WRITE),
    )
    return {
        f"Grant {operation.name} on {kind.name.lower()} {name}.": (kind, name, operation)
        for kind, name, operation in rights
    }


def bad_mends(findings: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [finding["mend"] for finding in findings.values() if finding["status"] == "bad"]


def test_each_right_that_is_taken_away_is_named_and_nothing_else(
    check: Check,
    guarded: Any,
    as_alice: Callable[[str], Tables],
    eventually: Callable[..., Any],
) -> None:
    tables = as_alice(SOURCE)
    state = f"{tables['name']}.state"
    for topic, policy in ((SOURCE, "delete"), (LETTERS, "delete"), (state, "compact")):
        guarded.broker.create_topic(topic, cleanup_policy=policy)
        guarded.grant(TOPIC, topic, [AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS])
    guarded.grant(TOPIC, LETTERS, [AclOperation.READ])
    guarded.grant(GROUP, f"connect-{tables['name']}", [AclOperation.DESCRIBE])
    rights = needed(tables)
    for kind, name, operation in rights.values():
        guarded.grant(kind, name, [operation])

    def says(mends: list[str]) -> None:
        # A change of rights is acknowledged before every listener knows of it.
        eventually(lambda: bad_mends(check(tables)[1]) == mends, what=f"{mends} is said")

    says([])
    for mend, (kind, name, operation) in rights.items():
        guarded.take_away(kind, name, operation)
        says([mend])
        guarded.grant(kind, name, [operation])
    says([])


def test_without_the_right_to_see_settings_a_check_is_left_out_and_says_so(
    check: Check, guarded: Any, as_alice: Callable[[str], Tables]
) -> None:
    tables = as_alice(SOURCE)
    guarded.broker.create_topic(SOURCE)
    guarded.broker.create_topic(LETTERS)
    with Producer({"bootstrap.servers": guarded.broker.direct_servers}) as producer:
        producer.produce(LETTERS, b"x")
        assert producer.flush(30) == 0
    guarded.grant(TOPIC, f"{tables['name']}.state", [AclOperation.CREATE, AclOperation.DESCRIBE])
    guarded.grant(TOPIC, LETTERS, [AclOperation.WRITE])
    guarded.grant(TOPIC, SOURCE, [AclOperation.READ])
    guarded.grant(GROUP, f"connect-{tables['name']}", [AclOperation.READ])

    status, findings = check(tables)

    assert status == 0
    assert not_ok(findings) == {
        f"settings of {LETTERS}": "skipped",
        f"letters in {LETTERS}": "skipped",
    }
    hidden = findings[f"settings of {LETTERS}"]["mend"]
    assert hidden.startswith(f"Grant DESCRIBE_CONFIGS on topic {LETTERS}")
    assert findings[f"letters in {LETTERS}"]["mend"].startswith(f"Grant READ on topic {LETTERS}")


def test_topics_that_are_missing_need_a_right_to_be_created(
    check: Check, guarded: Any, as_alice: Callable[[str], Tables], eventually: Callable[..., Any]
) -> None:
    tables = as_alice(SOURCE)
    state, group = f"{tables['name']}.state", f"connect-{tables['name']}"
    guarded.broker.create_topic(SOURCE)

    status, nothing = check(tables)
    guarded.grant(TOPIC, SOURCE, [AclOperation.READ])
    guarded.grant(GROUP, group, [AclOperation.READ])
    guarded.grant(TOPIC, LETTERS, [AclOperation.WRITE])
    guarded.grant(TOPIC, state, [AclOperation.CREATE])

    assert status == 3
    assert bad_mends(nothing) == [
        f"Grant DESCRIBE and READ on topic {SOURCE}.",
        f"Grant READ on group {group}.",
        f"Grant CREATE, DESCRIBE and WRITE on topic {LETTERS}.",
        f"Grant CREATE, DESCRIBE, READ and WRITE on topic {state}.",
    ]
    half = [
        f"Grant CREATE on topic {LETTERS}.",
        f"Grant DESCRIBE, READ and WRITE on topic {state}.",
    ]
    eventually(lambda: bad_mends(check(tables)[1]) == half, what="what is left is said")


def test_with_the_rights_that_are_named_the_state_topic_works(
    check: Check, guarded: Any, as_alice: Callable[[str], Tables], tmp_path: Path
) -> None:
    tables = as_alice("events")
    name, subject = f"{tables['name']}.state", f"topic {tables['name']}.state"
    config = tmp_path / "state.toml"
    config.write_text(toml(tables))
    state = StateTopic(load(config, {}), "test")

    with pytest.raises(Misconfigured, match=r"Grant .* on topic"):
        state.write("a/b", {"x": 1})
    guarded.grant(
        ResourceType.TOPIC, name, [AclOperation.CREATE, AclOperation.DESCRIBE, AclOperation.WRITE]
    )
    state.write("a/b", {"x": 1})
    _, written = check(tables)
    with pytest.raises(Misconfigured, match=r"Grant .* on topic"):
        state.read()
    guarded.grant(ResourceType.TOPIC, name, [AclOperation.READ])
    _, read = check(tables)

    assert written[subject]["mend"] == f"Grant READ on {subject}."
    assert read[subject]["status"] == "ok"
    # Not even a right to the group is needed.
    assert {key: entry.document for key, entry in state.read().items()} == {"a/b": {"x": 1}}


def test_wrong_credentials_are_one_clear_sentence(
    check: Check, as_alice: Callable[[str], Tables]
) -> None:
    tables = as_alice("events")
    tables["kafka"]["properties"]["sasl.password"] = "wrong-canary"

    status, findings = check(tables)

    assert status == 3
    assert "Authentication failed" in findings["kafka"]["message"]
    assert "wrong-canary" not in str(findings)


def test_how_dead_letters_are_kept(
    check: Check, connector_settings: Callable[..., Tables], broker: Broker, topic: str
) -> None:
    name = f"{topic}.dlq"
    broker.create_topic(
        name,
        partitions=1,
        cleanup_policy="compact,delete",
        retention_ms=3_600_000,
        retention_bytes=1_000_000,
        max_message_bytes=500_000,
    )

    status, findings = check(connector_settings(topic))

    assert status == 3
    assert not_ok(findings) == {
        f"partitions of {name}": "warning",
        f"cleanup.policy of {name}": "bad",
        f"retention.ms of {name}": "warning",
        f"retention.bytes of {name}": "warning",
        f"max.message.bytes of {name}": "warning",
    }
    assert "vanish after 1.0 hours" in findings[f"retention.ms of {name}"]["message"]
    assert all(findings[subject]["mend"] for subject in not_ok(findings))


def test_dead_letters_that_are_kept_for_ever_are_noticed(
    check: Check, connector_settings: Callable[..., Tables], broker: Broker, topic: str
) -> None:
    broker.create_topic(f"{topic}.dlq", partitions=2, retention_ms=-1)

    _, findings = check(connector_settings(topic))

    assert not_ok(findings) == {f"retention.ms of {topic}.dlq": "warning"}
    assert "for ever" in findings[f"retention.ms of {topic}.dlq"]["message"]


def test_letters_of_another_connector_in_our_topic_are_noticed(
    check: Check,
    connector_settings: Callable[..., Tables],
    letters_topic: str,
    topic: str,
    produce: Callable[..., Any],
) -> None:
    tables = connector_settings(topic)
    made = [letter(number, connector=tables["name"]) for number in range(3)]
    produce(letters_topic, made)
    _, ours = check(tables)
    produce(letters_topic, [letter(3, connector="the-others")])
    _, mixed = check(tables)

    subject = f"letters in {letters_topic}"
    assert ours[subject]["message"] == "the last 3 are ours"
    assert mixed[subject]["status"] == "warning"
    assert "letters of other connectors: the-others." in mixed[subject]["message"]


def test_records_that_kafka_deletes_before_they_are_read_are_noticed(
    check: Check,
    connector_settings: Callable[..., Tables],
    broker: Broker,
    fresh_name: Callable[[str], str],
) -> None:
    kept_ms = 10 * DAY_MS
    topic = broker.create_topic(fresh_name("old"), retention_ms=kept_ms)
    tables = connector_settings(topic)
    subject, group = f"lag of {topic}", f"connect-{tables['name']}"
    _, fresh = check(tables)
    now_ms = time.time_ns() // 1_000_000
    with Producer({"bootstrap.servers": broker.direct_servers}) as producer:
        for share in (0.95, 0.6, 0.1):  # of the retention; deleted only once a segment is rolled
            producer.produce(topic, b"x", timestamp=now_ms - int(share * kept_ms))
        assert producer.flush(30) == 0

    found = {}
    for offset in (0, 1, 2, 3):
        commit(broker, group, topic, offset)
        found[offset] = check(tables)[1][subject]

    assert fresh[subject]["message"].startswith("nothing is committed yet")
    assert [found[offset]["status"] for offset in found] == ["bad", "warning", "ok", "ok"]
    assert "3 records behind, and 1 of them are older than 90%" in found[0]["message"]
    assert "2 records behind, and 1 of them are older than 50%" in found[1]["message"]
    assert f"retention.ms on {topic}" in found[0]["mend"]


def test_times_that_cannot_be_are_noticed(
    check: Check,
    connector_settings: Callable[..., Tables],
    broker: Broker,
    fresh_name: Callable[[str], str],
) -> None:
    # What is as old as that is deleted when the broker next looks for it: every five minutes.
    topic = broker.create_topic(fresh_name("times"), retention_ms=-1)
    now_ms = time.time_ns() // 1_000_000
    tables, subject = connector_settings(topic), f"timestamps of {topic}"
    found = {}
    with Producer({"bootstrap.servers": broker.direct_servers}) as producer:
        for time_ms in (now_ms // 1000, now_ms - 60_000, now_ms + 900_000):
            producer.produce(topic, b"x", timestamp=time_ms)
            assert producer.flush(30) == 0
            found[time_ms] = check(tables)[1][subject]

    assert [finding["status"] for finding in found.values()] == ["warning", "ok", "warning"]
    in_seconds, _, ahead = (finding["message"] for finding in found.values())
    assert "before 2001" in in_seconds
    assert "s in this host's future" in ahead


def test_records_that_kafka_has_deleted_are_noticed(
    check: Check, connector_settings: Callable[..., Tables], broker: Broker, topic: str
) -> None:
    tables = connector_settings(topic)
    commit(broker, f"connect-{tables['name']}", topic, 1)
    with Producer({"bootstrap.servers": broker.direct_servers}) as producer:
        for _ in range(5):
            producer.produce(topic, b"x", partition=0)
        assert producer.flush(30) == 0
    admin = broker.admin()
    for future in admin.delete_records([TopicPartition(topic, 0, 4)]).values():
        future.result(timeout=30)

    _, paused = check(tables)
    tables["kafka"]["on_offset_out_of_range"] = "earliest"
    _, going_on = check(tables)

    subject = f"lag of {topic}"
    assert paused[subject]["status"] == "bad"
    assert "deleted 3 offsets" in paused[subject]["message"]
    assert going_on[subject]["status"] == "warning"


def commit(broker: Broker, group: str, topic: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": broker.direct_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def test_subjects_that_are_there_are_read(
    check: Check, connector_settings: Callable[..., Tables], topic: str, capillary: Any
) -> None:
    _, findings = check(connector_settings(topic))

    count = len(SchemaFolder.load(SchemasSettings()).events)
    assert findings["subjects"]["message"] == f"{count} of {count} are there and can be read"


def test_the_check_sends_nothing_that_is_kept(
    check: Check, connector_settings: Callable[..., Tables], topic: str, simulator: Any
) -> None:
    _, findings = check(connector_settings(topic))

    asked = [f["status"] for s, f in findings.items() if s.startswith("organisation at")]
    assert asked == ["ok"] * len(TARGETS)
    assert [message["accepted"] for message in simulator.received()] == [False] * len(TARGETS)
