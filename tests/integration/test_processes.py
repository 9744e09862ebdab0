"""Real processes, really killed: nothing is lost, and a clean stop repeats nothing."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.process_tree import alive, children, tasks

SLOW = {"scope": "batch", "count": "until_reset", "latency_ms": 400}


@pytest.fixture
def loaded(
    capillary: Any, topic: str, produce: Any, connector_settings: Any, simulator: Any
) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """Settings for small requests, a slow Experience Platform, and 2,000 records in the topic."""
    simulator.faults([SLOW])
    records, expected = capillary.records(2_000)
    produce(topic, records)
    settings = connector_settings(topic)
    settings["delivery"] |= {"batch_max_records": 50, "max_in_flight": 4}
    # After a kill the group waits for the session to end: 45 s by default.
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    return settings, expected


def test_kill_9_under_load_loses_nothing_and_repeats_keep_their_ids(
    loaded: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    settings, expected = loaded
    first = connector(settings)
    eventually(lambda: len(simulator.accepted()) >= 300)
    below = children(first.pid)
    assert tasks(first.pid)

    first.kill()

    eventually(lambda: not any(alive(pid) for pid in below), what="the tasks die with it")
    arrived = len(simulator.accepted())
    simulator.faults_over()
    assert arrived < sum(len(ids) for ids in expected.values())
    again = connector(settings)
    arrives(expected, once=False)
    eventually(lambda: again.metric("processor_records_in_flight") == 0)
    assert again.metric("processor_records_dead_lettered_total") == 0


def test_sigterm_under_load_drains_commits_and_repeats_nothing(
    loaded: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    settings, expected = loaded
    first = connector(settings)
    eventually(lambda: len(simulator.accepted()) >= 300)

    status = first.stop()

    arrived = len(simulator.accepted())
    assert status == 0
    assert arrived < sum(len(ids) for ids in expected.values())
    simulator.faults_over()
    connector(settings)
    arrives(expected, once=True)


def test_a_second_signal_ends_at_once_and_what_was_open_comes_again(
    loaded: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    settings, expected = loaded
    simulator.faults([{"scope": "batch", "count": "until_reset", "connection": "hang"}])
    first = connector(settings)
    eventually(lambda: first.metric("processor_records_in_flight") > 100)

    os.kill(first.pid, signal.SIGTERM)
    eventually(lambda: "stopping" in str(first.readyz()[1]))

    assert first.stop(10) == 130
    simulator.faults_over()
    connector(settings)
    arrives(expected, once=False)


def test_a_signal_while_the_connector_still_reads_its_settings_is_a_clean_stop(
    tmp_path: Path, eventually: Any
) -> None:
    settings = tmp_path / "processor.toml"
    os.mkfifo(settings)
    command = [sys.executable, "-m", "processor", "run", "--config", str(settings)]
    with subprocess.Popen(command) as starting, contextlib.ExitStack() as held:
        held.callback(starting.kill)
        writing = contextlib.ExitStack()

        def it_reads() -> bool:
            with contextlib.suppress(OSError):
                writing.callback(os.close, os.open(settings, os.O_WRONLY | os.O_NONBLOCK))
                return True
            return False

        eventually(it_reads)
        starting.terminate()
        # A signal just before it reads does not interrupt the read: the end of the file does.
        writing.close()

        assert starting.wait(30) == 0


def test_a_task_that_dies_is_started_again(
    loaded: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any, balanced: Any,
) -> None:  # fmt: skip
    settings, expected = loaded
    settings["tasks_max"] = 2
    running = connector(settings)
    eventually(lambda: len(tasks(running.pid)) == 2)
    eventually(lambda: len(simulator.accepted()) >= 300)
    victim = min(tasks(running.pid))

    os.kill(victim, signal.SIGKILL)

    eventually(lambda: not alive(victim))
    simulator.faults_over()
    eventually(lambda: len(tasks(running.pid)) == 2, what="a new task")
    arrives(expected, once=False)
    eventually(lambda: running.readyz()[0] == 200)
    assert balanced(running)
    assert running.metric("processor_records_dead_lettered_total") == 0


def test_without_tolerance_the_task_fails_at_the_first_record_at_fault_and_keeps_its_offset(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any, broker: Any,
    arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    records, expected = capillary.records(20)
    settings = connector_settings(topic)
    settings["errors"]["tolerance"] = "none"
    produce(topic, [{"value": b"\x01broken", "partition": 0}])
    running = connector(settings, start=False)
    running.launch()

    eventually(lambda: "FAILED" in str(running.readyz()[1]))

    assert "decode.framing" in str(running.readyz()[1])
    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics
    assert running.stop() == 1
    settings["errors"]["tolerance"] = "all"
    produce(topic, records)
    again = connector(settings)
    arrives(expected)
    eventually(lambda: again.metric("processor_records_dead_lettered_total") == 1)


def test_an_occupied_port_is_said_before_anything_connects(
    topic: str, connector: Any, connector_settings: Any, simulator: Any
) -> None:
    running = connector(connector_settings(topic), start=False)
    with socket.create_server(("127.0.0.1", running.port)):
        process = running.launch()

        assert process.wait(30) == 2

    text = running.log.read_text()
    assert str(running.port) in text
    assert "Traceback" not in text
    assert simulator.requests() == []


def test_a_drain_that_runs_out_of_time_exits_1_leaves_the_group_and_loses_nothing(
    loaded: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    settings, expected = loaded
    settings["delivery"]["drain_timeout_s"] = 1
    del settings["kafka"]["consumer"]  # with 45 s, a member that did not leave would be noticed
    simulator.faults([{"scope": "batch", "count": "until_reset", "connection": "hang"}])
    first = connector(settings)
    eventually(lambda: first.metric("processor_records_in_flight") > 100)

    status = first.stop(24)

    assert status == 1
    simulator.faults_over()
    again = connector(settings)
    eventually(lambda: again.metric("processor_records_consumed_total") > 0, timeout_s=30)
    arrives(expected, once=False)
