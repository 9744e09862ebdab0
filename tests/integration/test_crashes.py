"""Records that kill, hang or hold up a real task's process; counted by identity."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.tally import Tally
from tests.integration.process_tree import alive, tasks
from tests.integration.test_fault_rows import committed

POISON = Path(__file__).parents[1] / "faults" / "poison"
ENVIRONMENT = {"PYTHONPATH": str(POISON), "POISON_STANDSTILL_S": "3"}


@pytest.fixture
def poison(capillary: Any) -> Callable[[str], tuple[dict[str, bytes], str]]:
    """``poison("crash")``: a record of an otherwise sound event, and the event's id."""

    def make(kind: str) -> tuple[dict[str, bytes], str]:
        event = capillary.events.of("transactionAdded")
        event["eventId"] = f"poison:{kind}-{uuid.uuid4()}"
        return capillary.record(event), event["eventId"]

    return make


@pytest.fixture
def settings(connector_settings: Any, topic: str) -> dict[str, Any]:
    """After a crash the group waits for the session to end: 45 s by default."""
    tables: dict[str, Any] = connector_settings(topic)
    tables["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    return tables


@pytest.fixture
def is_committed(broker: Any, settings: dict[str, Any], topic: str) -> Callable[[int], bool]:
    """Whether so many records of the topic are committed."""
    properties = {
        "bootstrap.servers": broker.direct_servers,
        "group.id": f"connect-{settings['name']}",
    }
    return lambda count: committed(properties, topic) == count


def told(connector: Any) -> str:
    return str(connector.log.read_text(errors="replace"))


@pytest.mark.parametrize(
    ("kind", "cause"), [("crash", "SIGSEGV"), ("hang", "SIGABRT"), ("defect", "a defect")]
)
def test_a_record_that_ends_its_process_twice_is_dead_lettered_alone(
    kind: str, cause: str, poison: Any, capillary: Any, topic: str, produce: Any, connector: Any,
    settings: Any, settle: Any, eventually: Any, read_topic: Any, is_committed: Any,
) -> None:  # fmt: skip
    records, expected = capillary.records(60)
    bad, _ = poison(kind)
    produce(topic, [*records[:30], bad, *records[30:]], partition=0)

    running = connector(settings, **ENVIRONMENT)

    found = settle(f"F10, {kind}", expected, (bad["value"],), repeats="at most what was in flight")
    assert (found.lost, found.dead_lettered, found.strangers) == (0, 1, 0)
    (letter,) = read_topic(f"{topic}.dlq")
    headers = dict(letter.headers())
    assert (letter.key(), letter.value()) == (bad["key"], bad["value"])
    assert headers["processor.code"] == b"decode.crash"
    assert b"died 2 times" in headers["__connect.errors.exception.message"]
    assert cause.encode() in headers["__connect.errors.exception.message"]
    assert headers["__connect.errors.offset"] == b"30"
    eventually(lambda: is_committed(61))
    eventually(lambda: running.readyz()[0] == 200)
    assert told(running).count("A task died at a record.") == 2
    assert f"{topic}-0@30" in told(running)


def test_two_such_records_in_two_partitions_are_both_found_whatever_task_meets_them(
    poison: Any, capillary: Any, topic: str, produce: Any, connector: Any, settings: Any,
    settle: Any, eventually: Any, is_committed: Any,
) -> None:  # fmt: skip
    settings["tasks_max"] = 2
    records, expected = capillary.records(80)
    bad = [poison("crash")[0] for _ in range(2)]
    for partition, one in enumerate(bad):
        mine = records[partition * 40 :][:40]
        produce(topic, [*mine[:20], one, *mine[20:]], partition=partition)

    running = connector(settings, **ENVIRONMENT)

    values = tuple(one["value"] for one in bad)
    found = settle("F10, two", expected, values, repeats="at most what was in flight")
    assert (found.lost, found.dead_lettered, found.strangers) == (0, 2, 0)
    eventually(lambda: is_committed(82))
    eventually(lambda: running.readyz()[0] == 200)
    assert told(running).count("A task died at a record.") == 4


def test_a_loop_that_stands_still_longer_than_kafka_waits_costs_no_membership(
    poison: Any, capillary: Any, topic: str, produce: Any, connector: Any, settings: Any,
    settle: Any, eventually: Any, is_committed: Any,
) -> None:  # fmt: skip
    """It stands for 15 s; a session ends after 6, and for a member that does not poll after 7."""
    settings["kafka"]["consumer"] |= {"max.poll.interval.ms": 7_000}
    settings["delivery"] |= {"drain_timeout_s": 5}
    records, expected = capillary.records(60)
    slow, event_id = poison("block")
    expected["event"].add(event_id)
    running = connector(settings, PYTHONPATH=str(POISON))
    eventually(lambda: running.metric("processor_rebalances_total") > 0)
    (before,) = tasks(running.pid)
    rebalances = running.metric("processor_rebalances_total")

    produce(topic, [*records[:30], slow, *records[30:]])
    eventually(lambda: "no sign of life" in str(running.readyz()[1]), what="the loop stands still")

    assert settle("F11", expected) == Tally(0, 0, 0, 0)
    eventually(lambda: is_committed(61))
    eventually(lambda: running.readyz()[0] == 200)
    assert alive(before)
    assert running.metric("processor_rebalances_total") == rebalances
    assert "Gave a partition back." not in told(running)
