"""What one worker makes of what it hears of the others."""

from typing import Any

import pytest

from processor.connector.control_entries import TaskReport, WorkerReport
from processor.connector.fleet import FORGOTTEN_S, SILENT_S, Fleet, Place
from processor.connector.heartbeat import Waiting
from processor.connector.status import TaskState, TaskStatus

RUNNING, UNASSIGNED = TaskState.RUNNING, TaskState.UNASSIGNED
OWN = (TaskReport(RUNNING),)


def report(
    life: str = "b", *, tasks: int = 2, joined: int | None = None, **more: Any
) -> WorkerReport:
    reports = more.pop("reports", (TaskReport(RUNNING),) * tasks)
    return WorkerReport(
        life=life, version="1", joined=joined, size=len(reports), tasks=reports, **more
    )


class Watch:
    """A fleet as worker ``a`` sees it, and its clock."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.fleet = Fleet("a", "life", clock=lambda: self.now_s)

    def passes(self, seconds: float, *workers: str) -> None:
        """Time, in which these are heard every few seconds."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + 2.0)
            for worker in workers:
                self.hears(worker)

    def hears(self, worker: str, offset: int = 99, **said: Any) -> bool:
        life = said.pop("life", "life" if worker == "a" else worker)
        return self.fleet.heard(worker, report(life, **said), offset)

    def told(self) -> list[tuple[str, str]]:
        tasks = self.fleet.tasks(OWN)
        assert [task.id for task in tasks] == list(range(len(tasks)))
        return [(task.worker_id, task.state) for task in tasks]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_alone_it_tells_of_its_own_tasks(watch: Watch) -> None:
    assert watch.told() == [("a", RUNNING)]
    assert watch.fleet.sending(1) == 1


def test_tasks_are_counted_in_the_order_in_which_their_workers_joined(watch: Watch) -> None:
    watch.hears("c", offset=3, tasks=1)
    watch.hears("a", offset=5)
    watch.hears("b", offset=7)

    assert watch.told() == [("c", RUNNING), ("a", RUNNING), ("b", RUNNING), ("b", RUNNING)]

    watch.hears("c", offset=20, tasks=1)  # its place is that of its first entry

    assert watch.told()[0] == ("c", RUNNING)


def test_every_worker_counts_alike_whatever_it_heard_first() -> None:
    ids = []
    for me in ("a", "b"):
        fleet = Fleet(me, me, clock=lambda: 0.0)
        fleet.history({"z": (report("z", tasks=1), 2)})
        # a joined at 4, b at 6; who came later knows the others' places by what they say.
        for worker, joined in (("a", 4), ("b", 6)):
            fleet.heard(worker, report(worker, tasks=1, joined=joined), 50 + joined)
        fleet.joined = {"a": 4, "b": 6}[me]
        ids.append([task.worker_id for task in fleet.tasks(OWN)])

    assert ids == [["z", "a", "b"]] * 2


def test_one_that_comes_back_under_its_name_keeps_its_place(watch: Watch) -> None:
    watch.fleet.history({"a": (report("earlier", joined=3), 90), "b": (report("b", joined=8), 91)})

    assert watch.fleet.joined == 3
    assert watch.told()[0] == ("a", RUNNING)


def test_who_is_silent_has_tasks_that_nobody_knows_to_run(watch: Watch) -> None:
    watch.hears("a", offset=1)
    watch.hears("b", offset=2)
    watch.passes(SILENT_S, "a")
    assert watch.told()[1:] == [("b", RUNNING)] * 2

    watch.passes(0.1, "a")
    assert watch.told()[1:] == [("b", UNASSIGNED)] * 2

    watch.hears("b")
    assert watch.told()[1:] == [("b", RUNNING)] * 2


def test_what_the_topic_held_before_runs_only_when_it_is_heard(watch: Watch) -> None:
    watch.fleet.history({"b": (report(), 2)})
    assert watch.told() == [("b", UNASSIGNED)] * 2 + [("a", RUNNING)]

    watch.hears("b")

    assert watch.told() == [("b", RUNNING)] * 2 + [("a", RUNNING)]


def test_who_left_has_no_tasks(watch: Watch) -> None:
    watch.hears("b")
    watch.fleet.left("b")
    watch.fleet.left("nobody")

    assert watch.told() == [("a", RUNNING)]
    assert watch.fleet.sending(1) == 1


def test_the_silent_are_forgotten_after_minutes(watch: Watch) -> None:
    watch.hears("a")
    watch.hears("b")
    watch.passes(FORGOTTEN_S, "a")
    assert watch.fleet.forgotten() == []

    watch.passes(3, "a")

    assert watch.fleet.forgotten() == ["b"]


def test_who_was_frozen_forgets_nobody(watch: Watch) -> None:
    watch.hears("a")
    watch.hears("b")
    watch.now_s += 10 * FORGOTTEN_S
    assert watch.fleet.deaf
    assert watch.fleet.forgotten() == []

    watch.hears("a")  # its own is the latest, so it has read what the others told meanwhile
    assert watch.fleet.forgotten() == []
    watch.passes(FORGOTTEN_S, "a")
    assert watch.fleet.forgotten() == []

    watch.passes(3, "a")
    assert watch.fleet.forgotten() == ["b"]


def test_the_rates_are_divided_among_all_tasks_that_may_send(watch: Watch) -> None:
    failed = (TaskReport(TaskState.FAILED, "Why."), TaskReport(TaskState.PAUSED))
    watch.hears("a")
    watch.hears("b", tasks=3)
    watch.hears("c", reports=failed)

    assert watch.fleet.sending(2) == 2 + 3 + 1
    assert watch.fleet.sending(0) == 4


def test_a_stopped_connector_s_workers_count_with_what_they_will_run(watch: Watch) -> None:
    watch.fleet.heard("b", WorkerReport("b", "1", None, 4, ()), 9)

    assert watch.fleet.sending(1) == 5


def test_the_part_of_the_silent_goes_to_the_others(watch: Watch) -> None:
    watch.hears("a")
    watch.hears("b")
    assert watch.fleet.sending(1) == 3

    watch.passes(SILENT_S + 1, "a")

    assert watch.fleet.sending(1) == 1


def test_nobody_takes_the_others_part_while_it_hears_nobody(watch: Watch) -> None:
    watch.hears("a")
    watch.hears("b")
    assert watch.fleet.sending(1) == 3

    watch.passes(100)

    assert watch.fleet.deaf
    assert watch.fleet.sending(1) == 3
    assert watch.told() == [("a", RUNNING)] + [("b", UNASSIGNED)] * 2


def test_one_that_starts_reckons_with_those_that_the_topic_knows(watch: Watch) -> None:
    watch.fleet.history({"b": (report(tasks=5), 2)})

    assert watch.fleet.sending(1) == 6


def test_two_processes_with_one_name_are_told_apart(watch: Watch) -> None:
    assert watch.hears("a")
    assert not watch.hears("a", life="another")
    assert watch.told() == [("a", RUNNING)]


def test_who_has_our_instance_id_is_named(watch: Watch) -> None:
    watch.hears("b", instance="host")
    watch.hears("c", instance="other")

    assert watch.fleet.same_instance("host") == ["b"]
    assert watch.fleet.same_instance("") == []
    watch.passes(SILENT_S + 1)
    assert watch.fleet.same_instance("host") == []


def test_tasks_are_found_by_their_numbers(watch: Watch) -> None:
    watch.hears("b", offset=1)
    watch.hears("a", offset=2)

    places = watch.fleet.places([2, 0, 7, -1], OWN)

    assert places == [Place("a", 0), Place("b", 0)]


def test_what_a_task_waits_for_is_told_with_it(watch: Watch) -> None:
    waiting = (Waiting("ims", "IMS is away.", of_setup=False),)
    watch.hears("b", reports=(TaskReport(RUNNING, "", waiting),), offset=0)

    assert watch.fleet.tasks(OWN)[0] == TaskStatus(0, RUNNING, "b", "", waiting)
