"""Replays of ranges that are killed, gone on with, cancelled, and run beside the live connector."""

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from processor.local.broker import BrokerFiles
from tests.integration.replays import state_of

CUSTOMER = 600_000
PACED = ("--rate", "10")
"""Messages a second: slow enough to be met in the middle on any machine."""


@pytest.fixture
def settings(connector_settings: Callable[..., dict[str, Any]], topic: str) -> dict[str, Any]:
    tables = connector_settings(topic)
    tables["delivery"] |= {"batch_max_records": 5, "max_in_flight": 2}
    return tables


@pytest.fixture
def replay(run_cli: Any, config: Any) -> Callable[..., Any]:
    """``replay("show", id, status=0)``: the JSON objects that it prints; of one, itself."""

    def run(*arguments: str, status: int = 0) -> Any:
        ran = run_cli("replay", *arguments, "--json", "--config", config())
        assert ran.status == status, ran.stdout + ran.stderr
        rows = [json.loads(line) for line in ran.stdout.splitlines()]
        return rows if arguments[0] == "list" else rows[0]

    return run


@pytest.fixture
def sales(capillary: Any, produce: Any, topic: str) -> Callable[[int], list[dict[str, Any]]]:
    """``sales(count)``: events in the topic, each with one message; a few customers' own."""

    def make(count: int) -> list[dict[str, Any]]:
        events = [capillary.events.of("transactionAdded") for _ in range(count)]
        for number, event in enumerate(events):
            event["data"]["customerIdentifiers"] = {"customerId": CUSTOMER + number % 10}
        produce(topic, [capillary.record(event) for event in events])
        return events

    return make


def ids_of(simulator: Any) -> list[str]:
    return [row["_id"] for row in simulator.accepted()]


def test_a_killed_replay_is_gone_on_with_where_it_was(
    topic: str, settings: dict[str, Any], replay: Any, run_cli: Any, config: Any, started: Any,
    sales: Any, simulator: Any, eventually: Any, offsets_of: Any,
) -> None:  # fmt: skip
    events = sales(300)
    chosen = [e for n, e in enumerate(events) if n % 10 < 7]
    keys = [option for n in range(7) for option in ("--key", str(CUSTOMER + n))]
    process = started(
        "replay", "run", "--topic", topic, "--from-earliest", *keys, *PACED, "--execute"
    )
    eventually(lambda: len(simulator.accepted()) >= 30)

    (before,) = replay("list")
    process.signal(signal.SIGKILL)
    process.wait(30)
    (killed,) = replay("list")
    sent = len(ids_of(simulator))  # what was still on its way has arrived meanwhile
    shown = replay("show", killed["replay_id"])
    done = replay("run", "--resume", killed["replay_id"], "--rate", "1000", "--execute")
    after = replay("show", killed["replay_id"])
    again = run_cli("replay", "run", "--resume", killed["replay_id"], "--config", config())

    assert (before["status"], killed["status"]) == ("running", "interrupted")
    assert killed["chosen"] == len(chosen) == 210
    assert 0 < shown["ended"] <= sent < 210
    assert done["ended_before"] == shown["ended"]
    assert done["ended_before"] + done["delivered"] == 210
    assert done["not_sent"] == 0
    got = ids_of(simulator)
    assert set(got) == {event["eventId"] for event in chosen}
    # In flight were at most so many when it was killed, and a second's worth not yet committed.
    assert len(got) - len(set(got)) == sent - shown["ended"] <= 120
    assert (after["status"], after["resumed"], after["ended"]) == ("finished", 1, None)
    assert again.status == 2
    assert "is finished" in again.stderr
    assert offsets_of(f"connect-{settings['name']}") == {}
    assert killed["conditions"] == {"keys": 7, "where": []}
    told = state_of(settings)
    assert {key.partition("/")[0] for key in told} == {"replay"}, "what it chose is forgotten"
    assert str(CUSTOMER) not in json.dumps([e.document for e in told.values()])


def test_one_that_runs_is_cancelled_within_seconds_and_stays_so(
    topic: str, replay: Any, run_cli: Any, config: Any, started: Any, sales: Any, simulator: Any,
    eventually: Any, offsets_of: Any,
) -> None:  # fmt: skip
    sales(3_000)
    # What one poll brought is in flight, and has to end within the drain's time.
    paced = ("--rate", "50")
    process = started("replay", "run", "--topic", topic, "--from-earliest", *paced, "--execute")
    eventually(lambda: len(simulator.accepted()) >= 20)
    (running,) = replay("list")
    name = running["replay_id"]

    taken = run_cli("replay", "run", "--resume", name, "--execute", "--config", config())
    dry = replay("cancel", name)
    assert process.running
    cancelled = replay("cancel", name, "--execute")

    assert taken.status == 1
    assert "is running" in taken.stderr
    assert (dry["status"], dry["execute"]) == ("running", False)
    assert cancelled["status"] == "cancelled"
    assert process.wait(60) == 1
    done = json.loads(process.output().splitlines()[-1])
    assert "cancelled by" in done["failure"]
    assert done["finished"], "what was on its way ended and is committed"
    assert 20 <= done["delivered"] == len(set(ids_of(simulator))) < 3_000
    assert sum(offsets_of(done["group"]).values()) == done["delivered"]
    shown = replay("show", name)
    assert shown["status"] == "cancelled"
    assert shown["counts"]["delivered"] == done["delivered"] == shown["ended"]
    assert "@" in shown["cancelled_by"]
    for command in (("run", "--resume", name), ("cancel", name)):
        refused = run_cli("replay", *command, "--execute", "--config", config())
        assert refused.status == 2
        assert "cancelled" in refused.stderr


def test_one_that_was_killed_is_cancelled_by_a_mark(
    topic: str, settings: dict[str, Any], replay: Any, started: Any, sales: Any, simulator: Any,
    eventually: Any,
) -> None:  # fmt: skip
    sales(200)
    where = ("--where", "eventName=transactionAdded")
    process = started(
        "replay", "run", "--topic", topic, "--from-earliest", *where, *PACED, "--execute"
    )
    eventually(lambda: len(simulator.accepted()) >= 10)
    process.signal(signal.SIGKILL)
    process.wait(30)
    (killed,) = replay("list")

    cancelled = replay("cancel", killed["replay_id"], "--execute")

    assert cancelled["status"] == "cancelled"
    (listed,) = replay("list")
    assert listed["status"] == "cancelled"
    assert {key.partition("/")[0] for key in state_of(settings)} == {"replay"}


def test_a_replay_beside_the_live_connector_touches_none_of_its_offsets(
    topic: str, settings: dict[str, Any], connector: Any, replay: Any, started: Any, sales: Any,
    simulator: Any, eventually: Any, offsets_of: Any, broker: Any, broker_files: BrokerFiles,
) -> None:  # fmt: skip
    group = f"connect-{settings['name']}"
    old = {event["eventId"] for event in sales(120)}
    live = connector(settings)
    eventually(lambda: sum(offsets_of(group).values()) == 120)
    before = offsets_of(group)
    process = started("replay", "run", "--topic", topic, "--from-earliest", *PACED, "--execute")
    eventually(lambda: len(simulator.accepted()) >= 130)

    during = offsets_of(group)
    (running,) = replay("list")
    shown = consumer_groups(broker_files, broker.bootstrap_servers, running["group"])
    new = {event["eventId"] for event in sales(40)}
    eventually(lambda: sum(offsets_of(group).values()) == 160)
    assert process.wait(120) == 0
    after = offsets_of(group)

    assert before == during
    assert sum(after.values()) == 160
    done = json.loads(process.output().splitlines()[-1])
    assert (done["chosen"], done["delivered"]) == (120, 120)
    assert sum(offsets_of(running["group"]).values()) == 120
    counts = {i: ids_of(simulator).count(i) for i in old | new}
    assert counts == {**dict.fromkeys(old, 2), **dict.fromkeys(new, 1)}
    eventually(lambda: live.metric("processor_records_delivered_total") == 160)
    rows = [line.split() for line in shown.splitlines() if line.startswith(running["group"])]
    assert {(row[1], int(row[2])) for row in rows} <= {(topic, 0), (topic, 1)}
    assert rows, shown


def consumer_groups(files: BrokerFiles, servers: str, group: str) -> str:
    """What ``kafka-consumer-groups --describe`` prints of a group."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    options = ("--bootstrap-server", servers, "--describe", "--group", group)
    ran = subprocess.run(
        [files.java.program, "-cp", files.classpath, tool, *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return ran.stdout
