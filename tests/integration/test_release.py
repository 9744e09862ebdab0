"""``processor errors list`` and ``release`` with real parts: two tasks, a killed worker."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.connector.hold_entries import STALE_S
from processor.kafka.state import StateTopic
from processor.local.programs import toml
from processor.operations.held import Held, held_now
from processor.settings import load
from tests.integration.process_tree import tasks
from tests.integration.test_brake import LEAST, REFUSES_ALL, letters_of

COUNT = 300


@pytest.fixture
def tables(connector_settings: Callable[..., dict[str, Any]], topic: str) -> dict[str, Any]:
    """Two tasks, a small brake, small requests."""
    settings = connector_settings(topic)
    settings["tasks_max"] = 2
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    settings["errors"] |= {"systemic_min": LEAST, "systemic_window": 50, "retry_delay_max_s": 2.0}
    settings["delivery"] = {**settings.get("delivery", {}), "batch_max_records": 20}
    return settings


@pytest.fixture
def errors(tables: dict[str, Any], tmp_path: Path, run_cli: Any) -> Callable[..., Any]:
    """``errors("list", "--json")``: status, lines of stdout as JSON or text, stderr."""
    config = tmp_path / "errors.toml"
    config.write_text(toml(tables))

    def run(*arguments: str) -> tuple[int, list[Any], str]:
        ran = run_cli("errors", *arguments, "--config", config)
        lines = ran.stdout.splitlines()
        if "--json" in arguments:
            return ran.status, [json.loads(line) for line in lines], ran.stderr
        return ran.status, lines, ran.stderr

    return run


@pytest.fixture
def held(tables: dict[str, Any], tmp_path: Path) -> Callable[[], list[Held]]:
    """``held()``: what is held now, without the command line."""
    config = tmp_path / "held.toml"
    config.write_text(toml(tables))
    state = StateTopic(load(config, {}), "test")
    return lambda: held_now(state)


def two_tasks_hold(held: Callable[[], list[Held]], eventually: Any) -> None:
    eventually(
        lambda: {one.what.task for one in held()} == {0, 1}, timeout_s=120, what="both tasks hold"
    )


def test_what_two_tasks_hold_is_listed_and_released_and_becomes_dead_letters(
    capillary: Any, topic: str, produce: Any, connector: Any, tables: Any, errors: Any,
    held: Any, simulator: Any, eventually: Any, read_topic: Any, balanced: Any, broker: Any,
) -> None:  # fmt: skip
    events = [capillary.events.of("transactionAdded") for _ in range(COUNT)]
    records = [capillary.record(event) for event in events]
    customers = {record["key"] for record in records}
    simulator.faults(REFUSES_ALL)
    produce(topic, [{**r, "partition": n % 2} for n, r in enumerate(records)])
    nothing = errors("list", "--json")
    running = connector(tables, start=False)
    running.launch()
    two_tasks_hold(held, eventually)
    rows = errors("list", "--json")[1]
    (kind,) = {row["kind"] for row in rows}

    status, lines, _ = errors("list")
    unknown = errors("release", "0" * 12, "--execute")
    dry = errors("release", kind)
    held_still = errors("list", "--json")[1]
    done = errors("release", kind, "--execute", "--json")
    eventually(
        lambda: len(letters_of(topic, broker, read_topic)) == COUNT,
        timeout_s=120,
        what="every record is a dead letter",
    )
    after = errors("list", "--json")
    eventually(lambda: running.readyz()[0] == 200, timeout_s=60, what="it is ready again")
    eventually(lambda: running.metric("processor_records_in_flight") == 0, what="all ends")

    assert nothing[:2] == (0, [])
    assert "Nothing holds." in nothing[2]
    for row in rows:
        assert re.fullmatch(r"[0-9a-f]{12}", row["kind"])
        assert (row["code"], row["target"]) == ("delivery.refused", "event")
        assert row["worker"].endswith(f":{running.port}")
        assert row["records"] > 0
        assert row["first"]["topic"] == topic
        assert not row["stale"]
        assert "schema_id" in row["message"]
        assert f"processor errors release {kind}" in row["message"]
    assert status == 0
    assert len(lines) == 1 + len(rows)
    assert lines[0].startswith("KIND\tCODE\t")
    assert unknown[0] == 2
    assert kind in unknown[2]
    assert dry[0] == 0
    assert "Would let go" in dry[1][0]
    assert {row["task"] for row in held_still} == {0, 1}
    assert done[0] == 0, done[2]
    assert {row["fate"] for row in done[1]} == {"let_go"}
    assert sorted(letters_of(topic, broker, read_topic)) == sorted(r["value"] for r in records)
    assert simulator.accepted() == []
    told = b"".join(entry.value() or b"" for entry in read_topic(f"{tables['name']}.state"))
    assert b"schema_id" in told
    assert not any(value in told for value in customers)
    assert after[:2] == (0, [])
    assert balanced(running)


def test_a_task_that_begins_anew_has_not_forgotten_what_was_released(
    capillary: Any, topic: str, produce: Any, connector: Any, tables: Any, errors: Any,
    held: Any, simulator: Any, eventually: Any, read_topic: Any, broker: Any,
) -> None:  # fmt: skip
    def refused(count: int) -> list[Any]:
        return [capillary.record(capillary.events.of("transactionAdded")) for _ in range(count)]

    first, second = refused(COUNT), refused(COUNT)
    simulator.faults(REFUSES_ALL)
    produce(topic, [{**r, "partition": n % 2} for n, r in enumerate(first)])
    running = connector(tables, start=False)
    running.launch()
    two_tasks_hold(held, eventually)
    released = errors("release", "--all", "--execute")
    eventually(lambda: running.metric("processor_records_in_flight") == 0, what="all ends")

    for child in tasks(running.pid):
        os.kill(child, signal.SIGKILL)
    produce(topic, [{**r, "partition": n % 2} for n, r in enumerate(second)])
    values = {record["value"] for record in [*first, *second]}
    eventually(
        lambda: set(letters_of(topic, broker, read_topic)) == values,
        timeout_s=120,
        what="every record is a dead letter",
    )

    assert released[0] == 0, released[2]
    assert errors("list", "--json")[1] == []


def test_what_a_killed_worker_held_is_stale_and_its_next_life_begins_anew(
    capillary: Any, topic: str, produce: Any, connector: Any, tables: Any, errors: Any,
    held: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    simulator.faults(REFUSES_ALL)
    produce(topic, [capillary.record(capillary.events.of("transactionAdded")) for _ in range(50)])
    running = connector(tables, start=False)
    running.launch()

    eventually(held, timeout_s=120, what="a hold")
    running.kill()
    eventually(
        lambda: all(one.stale for one in held()), timeout_s=120, what="nobody tells it again"
    )
    _, rows, said = errors("list", "--json")
    simulator.faults_over()
    running.launch()
    eventually(lambda: held() == [], timeout_s=60, what="the next life deletes it")
    stopped = running.stop()

    assert rows
    assert all(row["heard_s"] > STALE_S for row in rows)
    assert "probably gone" in said
    assert stopped == 0
