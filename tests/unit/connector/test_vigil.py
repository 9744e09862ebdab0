import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from processor.connector import vigil
from processor.connector.last_words import Slate
from processor.connector.quarantine import Suspect
from processor.connector.task_process import EXIT_DEFECT
from processor.connector.vigil import STANDSTILL_S, Vigil, is_frozen

HERE = Suspect("events", 0, 7, 1000)
THERE = Suspect("events", 0, 8, 1000)


class Task:
    """A task's process as it looks from outside; each look is a second later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.at: Callable[[int], Suspect | None] = lambda _look: HERE
        self.heard: Callable[[int], float] = lambda _look: 0.0
        self.frozen: Callable[[int], bool] = lambda _look: False
        self.killed: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "kill", lambda *which: self.killed.append(which))
        monkeypatch.setattr(vigil, "is_frozen", lambda _pid: self.frozen(self.looks))
        self.vigil = Vigil(cast("Slate", self), 4711, lambda: self.heard(self.looks))

    @property
    def suspect(self) -> Suspect | None:
        self.looks += 1
        return self.at(self.looks)

    async def watched(self, for_s: float) -> list[tuple[int, int]]:
        """What was killed after so long."""
        await asyncio.wait({asyncio.create_task(self.vigil.keep())}, timeout=for_s)
        return self.killed


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    return Task(monkeypatch)


def test_a_task_that_is_silent_at_one_record_for_a_minute_is_ended(task: Task, run: Any) -> None:
    assert run(task.watched(STANDSTILL_S + 30)) == [(4711, signal.SIGABRT)]
    assert STANDSTILL_S <= task.looks <= STANDSTILL_S + 2

    death = task.vigil.death(-signal.SIGABRT)

    assert death is not None
    assert death.suspect == HERE
    assert "60 s" in death.cause


def test_it_is_not_ended_before(task: Task, run: Any) -> None:
    assert run(task.watched(STANDSTILL_S - 2)) == []


@pytest.mark.parametrize(
    "difference",
    [
        {"at": lambda _look: None},
        {"at": lambda look: (HERE, THERE)[look // 50 % 2]},
        {"at": lambda look: None if look % 50 == 0 else HERE},
        {"heard": lambda look: float(look // 50)},
        {"frozen": lambda look: look % 50 == 0},
    ],
    ids=["at no record", "at others", "between two", "it beats", "it was stopped from outside"],
)
def test_what_is_no_standstill(difference: dict[str, Any], task: Task, run: Any) -> None:
    vars(task).update(difference)

    assert run(task.watched(10 * STANDSTILL_S)) == []


def test_a_task_that_is_gone_already_is_no_trouble(
    task: Task, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)

    assert run(task.watched(STANDSTILL_S + 30)) == []


def test_a_defect_is_a_death_at_the_record_at_which_it_was(task: Task) -> None:
    death = task.vigil.death(EXIT_DEFECT)

    assert death is not None
    assert death.suspect == HERE
    assert "defect" in death.cause
    task.at = lambda _look: None
    assert task.vigil.death(EXIT_DEFECT) is None


@pytest.mark.parametrize("status", [0, 1, 4, -signal.SIGKILL, -signal.SIGTERM])
def test_other_ends_are_no_death_at_a_record(status: int, task: Task) -> None:
    assert task.vigil.death(status) is None


def test_a_stopped_process_is_frozen() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_frozen(process.pid)

        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)

        assert is_frozen(process.pid)
        process.kill()
    assert not is_frozen(process.pid)
