"""Orders and heartbeats as they stand in the state topic."""

from typing import Any

import pytest

from processor.connector.control_entries import (
    MOST_TRACE,
    MOST_WAITING,
    RESTART,
    STATE,
    RestartOrder,
    TaskReport,
    WorkerReport,
    key_of_worker,
    report_of,
    restart_of,
    state_document,
    state_of,
    worker_of,
)
from processor.connector.heartbeat import Waiting
from processor.connector.status import ConnectorState, TaskState
from processor.kafka.state_entry import Document, Entry, Unreadable, encode, entry_of
from processor.record import Record

WAITING = Waiting("ims", "IMS is away.", of_setup=True)


def entry(key: str, document: Document | None) -> Entry:
    """As it comes back from Kafka."""
    return entry_of(Record("state", 0, 7, 0, key.encode(), encode(document), []))


def test_a_report_comes_back_as_it_was_written() -> None:
    report = WorkerReport(
        "life",
        "1.2.3",
        42,
        3,
        (TaskReport(TaskState.FAILED, "Why."), TaskReport(TaskState.RUNNING, "", (WAITING,))),
        "host-1",
    )

    found = entry(key_of_worker("host:8083"), report.document())

    assert report_of(found) == report
    assert worker_of(found) == "host:8083"
    assert report.sending == 2


def test_a_report_stays_small() -> None:
    task = TaskReport(TaskState.RUNNING, "x" * 2 * MOST_TRACE, (WAITING,) * 100)

    (told,) = report_of(
        entry("worker/a", WorkerReport("life", "1", None, 1, (task,)).document())
    ).tasks

    assert len(told.trace) == MOST_TRACE
    assert len(told.waiting) == MOST_WAITING


@pytest.mark.parametrize("state", ConnectorState)
def test_what_the_connector_is_to_be_comes_back(state: ConnectorState) -> None:
    assert state_of(entry(STATE, state_document(state))) is state


def test_a_deleted_order_is_none() -> None:
    assert state_of(entry(STATE, None)) is ConnectorState.RUNNING


def test_an_order_to_restart_comes_back() -> None:
    order = RestartOrder((("host:1", 0), ("host:2", 1)), only_failed=True)

    assert restart_of(entry(RESTART, order.document())) == order


GOOD = WorkerReport("life", "1", None, 1, (TaskReport(TaskState.RUNNING),)).document()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {**GOOD, "tasks": None},
        {**GOOD, "tasks": [{"state": "DREAMING", "trace": "", "waiting": []}]},
        {**GOOD, "tasks": [7]},
        {**GOOD, "size": "many"},
        {"state": "ASLEEP"},
        {"tasks": [{"worker": "a"}], "only_failed": False},
    ],
)
def test_what_another_version_may_have_written_is_refused(wrong: dict[str, Any]) -> None:
    for read, key in ((report_of, "worker/a"), (state_of, STATE), (restart_of, RESTART)):
        with pytest.raises(Unreadable):
            read(entry(key, wrong))


def test_what_a_later_version_adds_does_no_harm() -> None:
    assert report_of(entry("worker/a", {**GOOD, "more": 1})).life == "life"
