import ctypes
import os
import signal
import timeit
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import pytest

from processor.connector.last_words import Slate, Unsaid, Written
from processor.connector.quarantine import Quarantined, Suspect
from processor.errors import Code, Refused
from processor.record import Record

SPAWN = get_context("spawn")
LONGEST = "t" * 249


@pytest.mark.parametrize(
    "suspect",
    [
        Suspect("events", 0, 0, 1_700_000_000_000),
        Suspect("events", 2**31 - 1, 2**63 - 1, None),
        Suspect(LONGEST, 3, 5, 0),
    ],
)
def test_what_is_written_is_read(suspect: Suspect) -> None:
    slate = Slate(SPAWN)
    words = Written(slate, {})
    words.begin(Record("another-topic", 9, 9))
    words.end()

    assert slate.suspect is None
    words.begin(Record(*suspect))
    assert slate.suspect == suspect
    words.end()
    assert slate.suspect is None


def test_a_slate_is_empty_before_the_first_record() -> None:
    assert Slate(SPAWN).suspect is None


def test_after_a_defect_nothing_is_said_any_more() -> None:
    slate = Slate(SPAWN)
    words = Written(slate, {})
    words.begin(Record("events", 1, 41, 1_000))

    words.stay()
    words.end()
    words.begin(Record("others", 0, 42, 2_000))
    words.end()

    assert slate.suspect == Suspect("events", 1, 41, 1_000)


def die(slate: Slate, how: str) -> None:
    """Work on two records, and die at the second."""
    words = Written(slate, {})
    words.begin(Record("events", 1, 41, 1_000))
    words.end()
    words.begin(Record("others", 0, 42, 2_000))
    if how == "null pointer":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("how", "status"), [("null pointer", -signal.SIGSEGV), ("kill", -signal.SIGKILL)]
)
def test_last_words_outlive_the_process(how: str, status: int) -> None:
    slate = Slate(SPAWN)
    process = SPAWN.Process(target=die, args=(slate, how))

    process.start()
    process.join(60)

    assert process.exitcode == status
    assert slate.suspect == Suspect("others", 0, 42, 2_000)


def test_a_quarantined_record_is_refused_and_its_neighbours_are_not(
    record: Callable[..., Record],
) -> None:
    suspect = Suspect("events", 0, 7, record(7).timestamp_ms)
    slate = Slate(SPAWN)
    words = Written(slate, {})
    words.begin(record(7))
    words.end()

    words.quarantine(Quarantined(suspect, 2, "SIGSEGV"))

    with pytest.raises(Refused) as refused:
        words.begin(record(7))
    assert refused.value.code is Code.DECODE_CRASH
    assert slate.suspect is None
    for neighbour in (record(6), record(8), record(7, partition=1), record(7, timestamp_ms=1)):
        words.begin(neighbour)
        assert slate.suspect is not None
        words.end()


def test_what_is_quarantined_at_the_start_is_refused(record: Callable[..., Record]) -> None:
    suspect = Suspect("events", 0, 7, record(7).timestamp_ms)
    words = Written(Slate(SPAWN), {suspect: Quarantined(suspect, 2, "SIGSEGV")})

    with pytest.raises(Refused, match="died 2 times"):
        words.begin(record(7))


def test_last_words_cost_next_to_nothing(record: Callable[..., Record]) -> None:
    """About 0.1 µs a record; the bound leaves room for a machine that is busy with other things."""
    one = record(7)

    def seconds(words: Any) -> float:
        def work() -> None:
            words.begin(one)
            words.end()

        return min(timeit.repeat(work, number=2_000, repeat=20)) / 2_000

    written, unsaid = seconds(Written(Slate(SPAWN), {})), seconds(Unsaid())

    assert written - unsaid < 5e-6
