from collections.abc import Callable, Sequence
from typing import Any

import pytest

from processor.admin.page.overview import FlowMeter, overview_of
from processor.connector.heartbeat import Waiting
from processor.connector.status import ConnectorState, ConnectorStatus, TaskState, TaskStatus
from processor.settings import Settings
from processor.telemetry.scrape import Scrape

METRICS = b"""\
# TYPE processor_records_consumed_total counter
processor_records_consumed_total{topic="events",partition="0"} 120.0
processor_records_consumed_total{topic="events",partition="10"} 5.0
processor_records_delivered_total{topic="events",partition="0"} 100.0
processor_records_dead_lettered_total{topic="events",partition="0",code="gate.violation"} 7.0
processor_records_dead_lettered_total{topic="events",partition="0",code="delivery.refused"} 9.0
processor_records_filtered_total{topic="events",partition="0",reason="tombstone"} 3.0
processor_records_in_flight{topic="events",partition="0"} 1.0
processor_consumer_lag{topic="events",partition="0"} 42.0
processor_consumer_lag{topic="events",partition="2"} 8.0
processor_concurrency_limit 11.0
processor_token_expires_in_seconds 81342.0
"""

RUNS = TaskStatus(0, TaskState.RUNNING, "a:1")
SETUP = Waiting("ims", "Put the new secret there.", of_setup=True)
AWAY = Waiting("kafka", "No broker answers.", of_setup=False)


def status(
    tasks: Sequence[TaskStatus] = (RUNS,), state: ConnectorState = ConnectorState.RUNNING
) -> ConnectorStatus:
    return ConnectorStatus("ours", state, "a:1", tasks)


@pytest.fixture
def look(settings: Callable[..., Settings]) -> Callable[..., Any]:
    def overview(
        told: ConnectorStatus, metrics: bytes = METRICS, meter: FlowMeter | None = None
    ) -> Any:
        return overview_of(told, Scrape.read(metrics), settings(), meter or FlowMeter(), 0.0)

    return overview


def test_each_partition_has_its_books(look: Any) -> None:
    partitions = look(status()).partitions

    assert [(p.number, p.lag, p.consumed) for p in partitions] == [
        (0, 42, 120),
        (2, 8, 0),
        (10, None, 5),
    ]
    first = partitions[0]
    assert (first.delivered, first.dead_lettered, first.filtered, first.in_flight) == (
        100,
        16,
        3,
        1,
    )


def test_what_is_added_up(look: Any) -> None:
    overview = look(status())

    assert (overview.lag, overview.in_flight, overview.concurrency) == (50, 1, 11)
    assert overview.ceiling == 32  # 16 of each of two tasks
    assert overview.codes == (("delivery.refused", 9), ("gate.violation", 7))
    assert (overview.token_s, overview.token_tone) == (81_342, "good")


def test_a_worker_that_has_done_nothing_yet(look: Any) -> None:
    overview = look(status(()), b"")

    assert overview.headline == "Starting"
    assert (overview.token_s, overview.partitions, overview.codes) == (None, (), ())


@pytest.mark.parametrize(
    ("told", "tone", "headline"),
    [
        (status(), "good", "Carrying records"),
        (status(state=ConnectorState.PAUSED), "warn", "Paused by an operator"),
        (status((), ConnectorState.STOPPED), "calm", "Stopped"),
        (
            status((RUNS, TaskStatus(1, TaskState.FAILED, "b:1", "why", [SETUP]))),
            "bad",
            "1 of 2 tasks failed",
        ),
        (
            status((TaskStatus(0, TaskState.RUNNING, "a:1", "", [AWAY, SETUP]),)),
            "bad",
            "Waiting for a change",
        ),
        (status((TaskStatus(0, TaskState.RUNNING, "a:1", "", [AWAY]),)), "warn", "Waiting"),
        (
            status((RUNS, TaskStatus(1, TaskState.RUNNING, "a:1", "", [AWAY]))),
            "warn",
            "1 of 2 tasks waits",
        ),
        (
            status((RUNS, *[TaskStatus(n, TaskState.RUNNING, "a:1", "", [SETUP]) for n in (1, 2)])),
            "bad",
            "2 of 3 tasks wait for a change",
        ),
        (status((RUNS, TaskStatus(1, TaskState.RESTARTING, "a:1"))), "warn", "1 of 2 tasks run"),
        (status((TaskStatus(0, TaskState.UNASSIGNED, "a:1"),)), "calm", "Starting"),
    ],
)
def test_the_headline_says_the_worst(
    told: ConnectorStatus, tone: str, headline: str, look: Any
) -> None:
    overview = look(told)

    assert (overview.tone, overview.headline) == (tone, headline)


def test_a_reason_to_wait_is_told_once_for_all_tasks(look: Any) -> None:
    tasks = [TaskStatus(n, TaskState.RUNNING, "a:1", "", [AWAY]) for n in (4, 2)]
    tasks.append(TaskStatus(5, TaskState.RUNNING, "b:1", "", [AWAY, SETUP]))

    overview = look(status(tasks))

    assert [(p.reason, p.tasks) for p in overview.pauses] == [("ims", (5,)), ("kafka", (2, 4, 5))]
    assert overview.workers == 2


def test_rates_are_those_of_the_last_minute() -> None:
    meter = FlowMeter()

    assert meter.rates({"read": 0}, 0.0) is None
    assert meter.rates({"read": 50}, 0.5) is None
    assert meter.rates({"read": 1_000}, 10.0) == {"read": 100}
    assert meter.rates({"read": 7_000}, 70.0) == {"read": 100}
    assert meter.rates({"read": 10}, 75.0) is None  # begun anew
