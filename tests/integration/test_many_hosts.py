"""Several workers of one connector: killed, frozen, paused, restarted, and none the wiser."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.feeding import A_SECOND, Load
from tests.integration.process_tree import tasks

PARTITIONS = 12
NOT_RUNNING_S = 60.0
"""Ten seconds of silence tell it; a busy machine may take longer to say so."""


def ask(worker: Any, method: str, path: str) -> httpx.Response:
    """A request to one worker's API, in the role admin."""
    url = f"{worker.url}/connectors/{worker.settings['name']}{path}"
    token = Path(worker.settings["admin"]["token_file"]).read_text()
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(
        method, url, headers=headers, timeout=30, trust_env=False
    ).raise_for_status()


def states(worker: Any) -> list[tuple[int, str, str]]:
    """What it tells of all tasks: number, worker and state; nothing before it answers."""
    try:
        tasks = ask(worker, "GET", "/status").json()["tasks"]
    except httpx.TransportError:
        return []
    return [(task["id"], task["worker_id"], task["state"]) for task in tasks]


def connector_state(worker: Any) -> str:
    return str(ask(worker, "GET", "/status").json()["connector"]["state"])


def of(worker: Any, told: Sequence[tuple[int, str, str]]) -> list[str]:
    """The states of one worker's tasks among those."""
    return [state for _, name, state in told if name.endswith(f":{worker.port}")]


def freeze(worker: Any, *, on: bool) -> None:
    """Stop a worker where it is, with all its tasks, or let it go on."""
    os.killpg(worker.pid, signal.SIGSTOP if on else signal.SIGCONT)


@pytest.fixture
def topic(broker: Any, fresh_name: Callable[[str], str]) -> str:
    """A fresh topic with twelve partitions."""
    return str(broker.create_topic(fresh_name("events"), partitions=PARTITIONS))


@pytest.fixture
def one_settings(connector_settings: Any, topic: str, tmp_path: Path) -> dict[str, Any]:
    """The settings that all workers of the connector share."""
    settings: dict[str, Any] = connector_settings(topic)
    token = tmp_path / "admin_token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    settings["admin"] = {"token_file": str(token)}
    settings["tasks_max"] = 1
    settings["delivery"] |= {"batch_max_records": 50, "max_in_flight": 4, "drain_timeout_s": 120}
    for target in settings["experience_platform"]["targets"].values():
        target["ordering"] = "none"  # so that no drain takes its time
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    return settings


@pytest.fixture
def agreed(eventually: Callable[..., Any]) -> Callable[..., None]:
    """``agreed(workers, state)``: wait until every worker tells the same, and all tasks are so."""

    def agree(workers: Sequence[Any], state: str, *, timeout_s: float = 120) -> None:
        def alike() -> bool:
            told = [states(worker) for worker in workers]
            count = sum(worker.settings["tasks_max"] for worker in workers)
            return told == [told[0]] * len(told) and [s for _, _, s in told[0]] == [state] * count

        eventually(alike, timeout_s=timeout_s, what=f"all workers tell that all tasks are {state}")

    return agree


def test_three_workers_of_twelve_partitions(
    one_settings: dict[str, Any], connector: Any,
    simulator: Any, arrives: Any, eventually: Any, agreed: Any, balanced: Any, load: Load,
) -> None:  # fmt: skip
    simulator.faults([{"scope": "batch", "count": "until_reset", "latency_ms": 100}])
    first, second, third = workers = [connector(one_settings, start=False) for _ in range(3)]
    for worker in workers:
        worker.launch()
    agreed(workers, "RUNNING")
    assert sorted(number for number, _, _ in states(first)) == [0, 1, 2]
    eventually(lambda: len(simulator.received(bodies=False)) > 500)

    # Killed: its tasks run nowhere, until it is back.
    first.kill()
    eventually(
        lambda: [of(first, states(w)) for w in (second, third)] == [["UNASSIGNED"]] * 2,
        timeout_s=NOT_RUNNING_S,
        what="both others tell that the killed one's tasks do not run",
    )
    first.launch()
    agreed(workers, "RUNNING")

    # Frozen, with all its tasks.
    freeze(second, on=True)
    eventually(
        lambda: [of(second, states(w)) for w in (first, third)] == [["UNASSIGNED"]] * 2,
        timeout_s=NOT_RUNNING_S,
        what="both others tell that the frozen one's tasks do not run",
    )

    # Paused and resumed through the third, while the second sleeps.
    ask(third, "PUT", "/pause")
    freeze(second, on=False)
    agreed(workers, "PAUSED")
    assert {connector_state(worker) for worker in workers} == {"PAUSED"}
    for worker in workers:
        status, said = worker.readyz()
        assert status == 503
        assert "paused" in str(said)
        assert httpx.get(f"{worker.url}/livez", timeout=60, trust_env=False).is_success
        eventually(lambda w=worker: w.metric("processor_records_in_flight") == 0)
        assert worker.metric("processor_paused", reason="paused") == 1
    arrived, produced = len(simulator.received(bodies=False)), load.count
    eventually(lambda: load.count > produced + 3 * A_SECOND, what="more records are there")
    assert len(simulator.received(bodies=False)) == arrived
    ask(third, "PUT", "/resume")
    agreed(workers, "RUNNING")

    # One by one, each drained and started again, under load.
    for worker in workers:
        assert worker.stop(180) == 0
        worker.start()
    agreed(workers, "RUNNING")

    arrives(load.end(), once=False)
    for worker in workers:
        eventually(lambda w=worker: w.metric("processor_records_in_flight") == 0)
        assert balanced(worker)
        assert worker.metric("processor_records_dead_lettered_total") == 0


def test_the_rate_is_of_all_workers_together(
    one_settings: dict[str, Any], connector: Any, simulator: Any, capillary: Any, topic: str,
    produce: Any, eventually: Any, agreed: Any,
) -> None:  # fmt: skip
    rate = 60
    one_settings["delivery"] |= {"messages_per_second": rate, "max_in_flight": 2}
    first, second = workers = [connector(one_settings) for _ in range(2)]
    agreed(workers, "RUNNING")

    def sent_since(begun_s: float, before: int) -> tuple[int, float]:
        """Messages since then, and the most that may have been."""
        count = len(simulator.received(bodies=False)) - before
        return count, rate * (time.monotonic() - begun_s + 1)

    def keeps_to_it(seconds: float) -> None:
        begun_s, before = time.monotonic(), len(simulator.received(bodies=False))
        eventually(lambda: time.monotonic() > begun_s + seconds)
        count, most = sent_since(begun_s, before)
        assert 0 < count <= most

    produce(topic, capillary.records(4_000)[0])
    eventually(lambda: len(simulator.received(bodies=False)) > 2 * rate)
    keeps_to_it(8)

    second.kill()
    eventually(lambda: "RUNNING" not in of(second, states(first)))
    keeps_to_it(8)
    second.start()
    agreed(workers, "RUNNING")
    keeps_to_it(8)


def test_a_stop_empties_the_group_and_outlives_all_workers(
    one_settings: Any, connector: Any, simulator: Any, broker: Any, arrives: Any, eventually: Any,
    agreed: Any, load: Load, offsets_of: Any,
) -> None:  # fmt: skip
    first, second = workers = [connector(one_settings) for _ in range(2)]
    agreed(workers, "RUNNING")
    eventually(lambda: len(simulator.received(bodies=False)) > A_SECOND)
    group = f"connect-{one_settings['name']}"

    ask(first, "PUT", "/stop")

    eventually(lambda: [connector_state(worker) for worker in workers] == ["STOPPED"] * 2)
    admin = broker.admin()

    def members() -> int:
        described = admin.describe_consumer_groups([group])[group].result()
        return len(described.members)

    eventually(lambda: members() == 0, what="the group becomes empty")
    assert states(first) == states(second) == []
    assert "stopped" in str(second.readyz())
    arrived, committed = len(simulator.received(bodies=False)), offsets_of(group)
    for worker in workers:
        assert worker.stop(180) == 0
    for worker in workers:
        worker.launch()
    eventually(lambda: [worker.readyz()[0] for worker in workers] == [503] * 2)
    eventually(lambda: [connector_state(worker) for worker in workers] == ["STOPPED"] * 2)
    assert (len(simulator.received(bodies=False)), offsets_of(group)) == (arrived, committed)

    ask(second, "PUT", "/resume")

    agreed(workers, "RUNNING")
    arrives(load.end())


def test_a_task_of_any_worker_is_restarted_through_any_worker(
    one_settings: Any, connector: Any, simulator: Any, arrives: Any, eventually: Any, agreed: Any,
    load: Load, broker: Any,
) -> None:  # fmt: skip
    one_settings["tasks_max"] = 2
    first, second = workers = [connector(one_settings) for _ in range(2)]
    agreed(workers, "RUNNING")
    eventually(lambda: len(simulator.received(bodies=False)) > A_SECOND)

    def pids(worker: Any) -> set[int]:
        return tasks(worker.pid)

    before = [pids(worker) for worker in workers]
    mine = [number for number, name, _ in states(first) if name.endswith(f":{second.port}")]
    ask(first, "POST", f"/tasks/{mine[0]}/restart")

    eventually(lambda: len(pids(second) - before[1]) == 1, what="one new process")
    agreed(workers, "RUNNING")
    assert pids(first) == before[0]
    assert len(pids(second) & before[1]) == 1
    arrives(load.end())


def test_two_workers_with_one_instance_id_are_seen_and_named(
    one_settings: Any, connector: Any, eventually: Any
) -> None:
    one_settings["kafka"]["consumer"]["group.instance.id"] = "not-changed"
    first = connector(one_settings)
    second = connector(one_settings, start=False)
    second.launch()

    eventually(
        lambda: (
            [sorted(s for _, _, s in states(w)) for w in (first, second)]
            == [["FAILED", "RUNNING"]] * 2
        ),
        what="both tell that one task was fenced",
    )

    tasks_told = ask(first, "GET", "/status").json()["tasks"]
    (trace,) = [task["trace"] for task in tasks_told if task["state"] == "FAILED"]
    assert "same group.instance.id" in trace
    for worker, other in ((first, second), (second, first)):
        named = f":{other.port} has our group.instance.id too"
        eventually(lambda w=worker, n=named: n in w.log.read_text(), what=named)
