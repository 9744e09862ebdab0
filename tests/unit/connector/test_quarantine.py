import signal
from multiprocessing import get_context
from typing import Any, cast

import pytest

from processor.connector import quarantine
from processor.connector.child import Child
from processor.connector.last_words import Slate
from processor.connector.quarantine import Death, Deaths, Suspect
from processor.connector.supervisor import Supervisor
from processor.connector.task_process import EXIT_DEFECT
from processor.connector.vigil import Vigil
from processor.errors import Code
from processor.settings import Settings

FIRST = Suspect("events", 0, 7, 1000)
CAUSE = "SIGSEGV"


def test_one_death_is_nobody_s_fault_and_two_at_one_record_are_its_own() -> None:
    deaths = Deaths()

    assert deaths.count(Death(FIRST, CAUSE)) is None
    assert deaths.quarantined == {}
    found = deaths.count(Death(FIRST, "SIGBUS"))

    assert found is not None
    assert (found.suspect, found.deaths, found.cause) == (FIRST, 2, "SIGBUS")
    assert deaths.quarantined == {FIRST: found}


@pytest.mark.parametrize(
    "other",
    [
        FIRST._replace(offset=8),
        FIRST._replace(partition=1),
        FIRST._replace(topic="others"),
        FIRST._replace(timestamp_ms=2000),
        FIRST._replace(timestamp_ms=None),
    ],
    ids=["offset", "partition", "topic", "time: the topic was made anew", "no time"],
)
def test_deaths_at_two_records_are_not_added_up(other: Suspect) -> None:
    deaths = Deaths()

    assert deaths.count(Death(FIRST, CAUSE)) is None
    assert deaths.count(Death(other, CAUSE)) is None
    assert deaths.quarantined == {}


def test_the_longest_unheard_of_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "REMEMBERED", 3)
    deaths = Deaths()
    for offset in (0, 0, 1, 1, 2, 0, 3):
        deaths.count(Death(FIRST._replace(offset=offset), CAUSE))

    assert {suspect.offset for suspect in deaths.quarantined} == {0}
    assert deaths.count(Death(FIRST._replace(offset=1), CAUSE)) is None


def test_the_dead_letter_says_how_often_of_what_and_what_to_do() -> None:
    deaths = Deaths()
    deaths.count(Death(FIRST, CAUSE))
    found = deaths.count(Death(FIRST, CAUSE))
    assert found is not None

    refused = found.refused()

    assert refused.code is Code.DECODE_CRASH
    assert "died 2 times" in str(refused)
    assert "SIGSEGV" in str(refused)
    assert "report it" in str(refused)


# The supervisor.


class Pipe:
    """What a task is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def send(self, order: object) -> None:
        self.told.append(order)


class Paper:
    """The last words of one life."""

    def __init__(self, suspect: Suspect | None) -> None:
        self.suspect = suspect


class Fated(Supervisor):
    """Its task's lives end as they are told; after the last one the connector stops."""

    def __init__(self, *lives: tuple[int, Suspect | None], tasks: int = 1) -> None:
        required: dict[str, Any] = {
            "kafka": {"bootstrap_servers": "localhost:1", "topics": ["events"]},
            "ims": {"client_id": "client"},
            "experience_platform": {"org_id": f"{'A' * 24}@AdobeOrg", "tenant": "acme"},
        }
        super().__init__(Settings(**required, tasks_max=tasks))
        self._lives = list(lives)
        self.given: list[set[Suspect]] = []
        self.pipes = [Pipe() for _ in self._children]
        for child, pipe in zip(self._children, self.pipes, strict=True):
            child.connection = cast("Any", pipe)

    @property
    def siblings(self) -> list[Child]:
        return self._children

    async def _one_life(self, child: Child) -> int:
        self.given.append(set(self._deaths.quarantined))
        if not self._lives:
            self._stopping.set()
            return 0
        status, suspect = self._lives.pop(0)
        child.vigil = Vigil(cast("Slate", Paper(suspect)), 0, lambda: 0.0)
        return status

    async def lead(self) -> list[set[Suspect]]:
        """What each life was told not to decode."""
        await self._live(self._children[0])
        return self.given


SEGV = (-signal.SIGSEGV, FIRST)


def lead(supervisor: Fated, run: Any) -> Any:
    return run(supervisor.lead())


@pytest.mark.parametrize(
    "number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT]
)
def test_after_two_crashes_at_one_record_the_next_task_is_told_to_leave_it(
    number: int, run: Any
) -> None:
    crash = (-number, FIRST)

    assert lead(Fated(crash, crash), run) == [set(), set(), {FIRST}]


def test_after_two_defects_at_one_record_the_next_task_is_told_to_leave_it(run: Any) -> None:
    defect = (EXIT_DEFECT, FIRST)

    assert lead(Fated(defect, defect), run) == [set(), set(), {FIRST}]


@pytest.mark.parametrize("status", [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, 1])
def test_what_is_no_crash_convicts_no_record(status: int, run: Any) -> None:
    lives = [(status, FIRST)] * 3

    assert lead(Fated(*lives), run) == [set()] * 4


def test_a_kill_between_two_crashes_neither_counts_nor_clears(run: Any) -> None:
    assert lead(Fated(SEGV, (-signal.SIGKILL, FIRST), SEGV), run)[-1] == {FIRST}


def test_a_crash_at_no_record_convicts_none(run: Any) -> None:
    nowhere = (-signal.SIGSEGV, None)

    assert lead(Fated(nowhere, nowhere), run) == [set()] * 3


def test_two_records_are_each_found(run: Any) -> None:
    other = FIRST._replace(partition=1)
    given = lead(Fated(SEGV, (-signal.SIGSEGV, other), SEGV, (-signal.SIGSEGV, other)), run)

    assert given == [set(), set(), set(), {FIRST}, {FIRST, other}]


def test_deaths_of_two_tasks_at_one_record_are_added_up_and_those_that_run_are_told(
    run: Any,
) -> None:
    supervisor = Fated(SEGV, SEGV, tasks=3)
    zero, one, _two = supervisor.siblings

    async def each_dies_once() -> None:
        for child in (zero, one):
            status = await supervisor._one_life(child)  # noqa: SLF001 - the way of `_live`
            supervisor._note_crash(child, status)  # noqa: SLF001

    run(each_dies_once())

    told = [[getattr(order, "suspect", None) for order in pipe.told] for pipe in supervisor.pipes]
    assert told == [[FIRST]] * 3


def test_a_crash_whose_record_is_out_of_the_way_is_not_waited_for_long(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []

    def wait_s(_self: object, attempts: int) -> float:
        waits.append(attempts)
        return 0.0

    monkeypatch.setattr("processor.connector.backoff.Backoff.wait_s", wait_s)
    others = [(-signal.SIGSEGV, FIRST._replace(offset=offset)) for offset in range(10)]

    lead(Fated(*[crash for crash in others for _ in range(2)]), run)

    assert max(waits) == 2


class Stillborn:
    """Takes the place of the processes' context: a process that ends at once."""

    pid, exitcode, name = 0, 0, "task"

    def __init__(self) -> None:
        real = get_context("spawn")
        self.Pipe, self.RawArray = real.Pipe, real.RawArray
        self.given: tuple[Any, ...] = ()

    def Process(self, *, args: tuple[Any, ...], **_named: Any) -> "Stillborn":  # noqa: N802 - its name
        self.given = args
        return self

    def start(self) -> None:
        """It has ended already."""

    def join(self) -> None:
        """It has ended already."""


async def test_a_process_that_starts_is_given_what_it_must_not_decode() -> None:
    supervisor = Fated()
    (child,) = supervisor.siblings
    supervisor._context = context = cast("Any", Stillborn())  # noqa: SLF001
    for _ in range(2):
        supervisor._deaths.count(Death(FIRST, CAUSE))  # noqa: SLF001

    await Supervisor._one_life(supervisor, child)  # noqa: SLF001 - not the double's

    assert list(context.given[-1].quarantined) == [FIRST]
