"""``processor check`` against a real broker, registry and simulator."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclOperation,
    ResourceType,
)

from processor.errors import Misconfigured
from processor.kafka.state import StateTopic
from processor.local.broker import Broker
from processor.local.ports import free_port
from processor.local.programs import toml
from processor.settings import load

Tables = dict[str, Any]
Check = Callable[[Mapping[str, Any]], tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def check(run_cli: Callable[..., Any], tmp_path: Path) -> Check:
    """Runs ``processor check --json``: the exit status, and the findings by subject."""

    def run(tables: Mapping[str, Any]) -> tuple[int, dict[str, dict[str, str]]]:
        file = tmp_path / "checked.toml"
        file.write_text(toml(tables))
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
    broker.create_topic(f"{topic}.dlq", partitions=2)
    broker.create_topic(f"{tables['name']}.state", cleanup_policy="compact")

    status, findings = check(tables)

    assert (status, not_ok(findings)) == (0, {})
    assert findings[f"topic {topic}.dlq"]["message"] == "can be written"


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
    state = findings[f"topic {tables['name']}.state"]
    assert state["mend"] == "Set cleanup.policy=compact on it."


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
    assert findings[f"topic {prefix}.a.dlq"]["message"] == "can be written"


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


def test_each_missing_right_is_named(
    check: Check, guarded: Any, as_alice: Callable[[str], Tables]
) -> None:
    guarded.broker.create_topic("events")
    tables = as_alice("events")
    state, group = f"{tables['name']}.state", f"connect-{tables['name']}"

    status, nothing = check(tables)
    guarded.grant(ResourceType.TOPIC, "events", [AclOperation.DESCRIBE])
    guarded.grant(ResourceType.GROUP, group, [AclOperation.DESCRIBE])
    guarded.broker.create_topic("events.dlq")
    guarded.grant(ResourceType.TOPIC, "events.dlq", [AclOperation.DESCRIBE])
    _, described = check(tables)
    guarded.grant(ResourceType.TOPIC, "events", [AclOperation.READ])
    guarded.grant(ResourceType.GROUP, group, [AclOperation.READ])
    guarded.grant(ResourceType.TOPIC, "events.dlq", [AclOperation.WRITE])
    guarded.grant(ResourceType.TOPIC, state, [AclOperation.CREATE, AclOperation.DESCRIBE])
    last, granted = check(tables)

    assert status == 3
    assert nothing["topic events"]["mend"] == "Grant DESCRIBE and READ on topic events."
    assert nothing[f"group {group}"]["mend"] == f"Grant READ on group {group}."
    assert nothing["topic events.dlq"]["mend"] == (
        "Grant CREATE, DESCRIBE and WRITE on topic events.dlq."
    )
    assert nothing[f"topic {state}"]["status"] == "bad"
    assert described["topic events"]["mend"] == "Grant READ on topic events."
    assert described[f"group {group}"]["mend"] == f"Grant READ on group {group}."
    assert described["topic events.dlq"]["mend"] == "Grant WRITE on topic events.dlq."
    assert (last, not_ok(granted)) == (0, {})


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
