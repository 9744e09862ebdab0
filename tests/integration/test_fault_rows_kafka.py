"""Rows of the table of faults between a real connector and a broker of its own, by identity."""

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from processor.demo.events import SampleEvents
from processor.errors import TryAgain
from processor.local.ports import free_port
from tests.faults.tally import Tally, tally
from tests.integration.process_tree import alive, tasks
from tests.integration.test_fault_rows import LONG, committed
from tests.rig.tcp_proxy import ResetPeer, Slicer, TcpProxy, Timeout

SESSION_MS = 6_000


class Line:
    """A broker of the test's own, a topic in it, and events that are sent in order.

    Attributes:
        sent: the ``eventId`` of each event that the broker acknowledged.
    """

    def __init__(self, broker: Any, topic: str) -> None:
        self.broker, self.topic = broker, topic
        self.sent: set[str] = set()
        self._seeds = iter(range(1_000_000))

    def create(self) -> None:
        self.broker.create_topic(self.topic, partitions=2)

    def send(self, count: int) -> None:
        events = [SampleEvents(seed).of("transactionAdded") for seed in self._next(count)]
        producer = Producer({"bootstrap.servers": self.broker.direct_servers})
        for event in events:
            producer.produce(self.topic, json.dumps(event).encode())
        assert producer.flush(60) == 0
        self.sent |= {event["eventId"] for event in events}

    def _next(self, count: int) -> Iterable[int]:
        return [next(self._seeds) for _ in range(count)]

    def committed(self, settings: Any) -> int:
        """How many records the group has committed."""
        group = f"connect-{settings['name']}"
        servers = {"bootstrap.servers": self.broker.direct_servers, "group.id": group}
        return committed(servers, self.topic)

    def is_committed(self, settings: Any, count: int) -> bool:
        return self.committed(settings) == count

    def tally(self, row: str, simulator: Any, *, repeats: str = "0") -> Tally:
        """Count what became of everything that was sent."""
        accepted = [one for one in simulator.received(bodies=False) if one["accepted"]]
        dead = f"{self.topic}.dlq"
        assert dead not in self.broker.admin().list_topics(timeout=10).topics
        return tally(row, {"event": self.sent}, accepted, repeats=repeats)

    def arrived(self, simulator: Any) -> bool:
        """Whether nothing of it is missing."""
        came = simulator.received(bodies=False)
        return self.sent <= {one["_id"] for one in came if one["accepted"]}


@pytest.fixture
def line(make_broker: Any, fresh_name: Any) -> Line:
    """A broker that nothing stands in front of."""
    made = Line(make_broker(), fresh_name("events"))
    made.create()
    return made


@pytest.fixture
def settings(line: Line, connector_settings: Any) -> dict[str, Any]:
    tables: dict[str, Any] = connector_settings(line.topic)
    tables["kafka"]["bootstrap_servers"] = line.broker.bootstrap_servers
    tables["kafka"]["consumer"] = {"session.timeout.ms": SESSION_MS}
    return tables


def test_a_connector_that_starts_before_its_broker_waits_and_goes_on_by_itself(
    line: Line, settings: Any, connector: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    line.send(100)
    line.broker.stop()
    running = connector(settings, start=False)
    running.launch()
    eventually(lambda: "kafka" in str(running.readyz()[1]), what="it says what it waits for")
    before = eventually(lambda: tasks(running.pid))

    assert running.readyz()[0] == 503
    assert httpx.get(f"{running.url}/livez", timeout=60, trust_env=False).status_code == 200
    line.broker.start()
    line.send(100)

    eventually(lambda: line.arrived(simulator), what="all arrives")
    eventually(lambda: running.readyz()[0] == 200)
    assert line.tally("F15", simulator) == Tally(0, 0, 0, 0)
    assert tasks(running.pid) == before, "nothing of ours was started again"
    eventually(lambda: line.is_committed(settings, 200))


def test_the_elder_of_two_with_one_group_instance_id_is_fenced_and_the_other_goes_on(
    line: Line, settings: Any, connector: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    settings["kafka"]["consumer"]["group.instance.id"] = "one"
    line.send(100)
    elder = connector(settings)
    eventually(lambda: line.is_committed(settings, 100))

    younger = connector(settings)
    eventually(lambda: "FAILED" in str(elder.readyz()[1]), what="the elder is fenced")
    line.send(100)

    eventually(lambda: line.arrived(simulator), what="all arrives")
    assert line.tally("F32", simulator) == Tally(0, 0, 0, 0)
    eventually(lambda: line.is_committed(settings, 200))
    status, why = elder.readyz()
    assert status == 503
    assert "fenced" in str(why).lower()
    assert younger.readyz()[0] == 200
    assert elder.stop() == 1


def test_a_process_that_is_frozen_beyond_its_session_loses_nothing_and_takes_nothing_back(
    line: Line, settings: Any, connector: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    settings["delivery"] |= {"batch_max_records": 20, "max_in_flight": 2}
    # So slow that it is frozen in the middle on any machine.
    simulator.faults([{"scope": "batch", "count": LONG, "latency_ms": 1_000}])
    line.send(400)
    frozen = connector(settings)
    eventually(lambda: len(simulator.accepted()) >= 60)
    below = tasks(frozen.pid)

    for pid in below:
        os.kill(pid, signal.SIGSTOP)
    open_ = 400 - line.committed(settings)
    other = connector(settings)
    eventually(lambda: other.metric("processor_records_consumed_total") > 0, what="it takes over")
    simulator.faults_over()
    eventually(lambda: line.arrived(simulator), what="all arrives")
    eventually(lambda: line.is_committed(settings, 400))
    for pid in below:
        os.kill(pid, signal.SIGCONT)
    line.send(100)

    eventually(lambda: line.arrived(simulator), what="what came later arrives")
    eventually(lambda: line.is_committed(settings, 500))
    found = line.tally("F8", simulator, repeats=f"at most {open_}")
    assert (found.lost, found.dead_lettered) == (0, 0)
    assert found.repeated <= open_
    eventually(lambda: frozen.readyz()[0] == 200, what="it is a member again")
    assert all(alive(pid) for pid in below)


@pytest.fixture
def proxied(make_broker: Any, fresh_name: Any) -> Iterator[tuple[Line, TcpProxy]]:
    """A broker behind a proxy; what watches it goes around."""
    port = free_port()
    made = Line(make_broker(advertised_port=port), fresh_name("events"))
    made.create()
    with TcpProxy(made.broker.port, port=port) as proxy:
        yield made, proxy


@pytest.mark.parametrize("row", ["F17", "F18"])
def test_a_network_to_the_broker_that_swallows_resets_and_slices_loses_nothing(
    row: str, proxied: Any, connector_settings: Any, connector: Any, simulator: Any,
    eventually: Any,
) -> None:  # fmt: skip
    line, proxy = proxied
    settings = connector_settings(line.topic)
    settings["kafka"]["bootstrap_servers"] = line.broker.bootstrap_servers
    settings["kafka"]["consumer"] = {
        "session.timeout.ms": SESSION_MS,
        # Of bytes that are swallowed nobody hears: librdkafka's patience is 60 s.
        "socket.timeout.ms": 5_000,
    }
    settings["kafka"]["properties"] = {"reconnect.backoff.max.ms": 500}
    line.send(200)
    running = connector(settings)
    eventually(lambda: line.is_committed(settings, 200))
    before = tasks(running.pid)

    if row == "F17":
        hole = proxy.add(Timeout())
        line.send(200)
        time.sleep(2 * SESSION_MS / 1_000)  # longer than the broker waits for a sign of life
        proxy.remove(hole)
    else:
        proxy.add(Slicer(bytes=400, delay_s=0.001))
        for _ in range(5):
            line.send(40)
            proxy.remove(proxy.add(ResetPeer()))
            time.sleep(0.5)

    eventually(lambda: line.arrived(simulator), what="all arrives")
    proxy.clear()
    eventually(lambda: running.readyz()[0] == 200)
    eventually(lambda: line.is_committed(settings, 400))
    found = line.tally(row, simulator, repeats="at most what was in flight")
    assert (found.lost, found.dead_lettered) == (0, 0)
    assert tasks(running.pid) == before


def test_of_a_topic_that_is_deleted_and_made_anew_nothing_of_the_new_one_is_lost(
    line: Line, settings: Any, connector: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    settings["kafka"]["consumer"]["topic.metadata.refresh.interval.ms"] = 500
    line.send(200)
    running = connector(settings)
    eventually(lambda: line.is_committed(settings, 200))
    before = tasks(running.pid)
    admin = line.broker.admin()

    admin.delete_topics([line.topic])[line.topic].result(30)
    eventually(lambda: "does not exist" in str(running.readyz()[1]), what="it sees that")
    eventually(lambda: made_anew(line), what="its name is free again")
    # Fewer than before: their offsets lie below what is committed.
    line.send(50)

    eventually(lambda: line.arrived(simulator), what="all of the new topic arrives")
    assert line.tally("F26", simulator) == Tally(0, 0, 0, 0)
    eventually(lambda: running.readyz()[0] == 200)
    eventually(lambda: line.is_committed(settings, 50))
    assert tasks(running.pid) == before


@pytest.mark.parametrize(
    ("before", "after"), [(200, 50), (20, 200)], ids=["out of range", "within the new log"]
)
def test_a_topic_that_is_made_anew_before_anybody_sees_it_gone_is_read_from_its_start(
    before: int, after: int, line: Line, settings: Any, connector: Any, simulator: Any,
    eventually: Any,
) -> None:  # fmt: skip
    settings["kafka"]["consumer"] = {"session.timeout.ms": 45_000}
    line.send(before)
    running = connector(settings)
    eventually(lambda: line.is_committed(settings, before))
    (task,) = tasks(running.pid)
    admin = line.broker.admin()

    os.kill(task, signal.SIGSTOP)
    try:
        admin.delete_topics([line.topic])[line.topic].result(30)
        eventually(lambda: made_anew(line), what="its name is free again")
        line.send(after)
    finally:
        os.kill(task, signal.SIGCONT)

    eventually(lambda: line.arrived(simulator), what="all of the new topic arrives")
    eventually(lambda: line.is_committed(settings, after))
    found = line.tally(f"F26, unseen, {after} records", simulator, repeats="those read before")
    assert (found.lost, found.dead_lettered) == (0, 0)
    assert found.repeated <= after
    eventually(lambda: running.readyz()[0] == 200)
    assert "made anew" in running.log.read_text()


def made_anew(line: Line) -> bool:
    try:
        line.create()
    except TryAgain:
        return False
    return True


def test_a_sink_slower_than_kafka_waits_for_a_poll_costs_no_membership(
    line: Line, settings: Any, connector: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    settings["kafka"]["consumer"]["max.poll.interval.ms"] = 7_000
    settings["delivery"] |= {"drain_timeout_s": 5, "batch_max_records": 20, "max_in_flight": 1}
    simulator.faults([{"scope": "batch", "count": 3, "latency_ms": 10_000}])
    line.send(200)
    running = connector(settings)
    eventually(lambda: running.metric("processor_rebalances_total") > 0)
    rebalances = running.metric("processor_rebalances_total")

    eventually(lambda: line.arrived(simulator), timeout_s=180, what="all arrives")
    eventually(lambda: line.is_committed(settings, 200))
    assert line.tally("F22", simulator) == Tally(0, 0, 0, 0)
    assert running.metric("processor_rebalances_total") == rebalances
