"""The arithmetic of a reset: where it goes, what is read again and what is skipped."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Misconfigured, TryAgain
from processor.kafka.progress import NOTHING, Ended, Mark, Run
from processor.operations.offsets.group import GroupNow, Member
from processor.operations.offsets.offsets import Standing
from processor.operations.offsets.reset import Aim, Change, Reset, ResetOptions
from processor.record import TopicPartition

NOW = datetime(2026, 1, 2, tzinfo=UTC)
T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
IDLE = GroupNow("g", "empty", active=False)


def standing(committed: int | None, ended: Ended = NOTHING) -> Standing:
    """In a log of the offsets 10 to 29."""
    return Standing(T0, committed, 10, 30, "m" if ended else "", ended)


class Writer:
    """A group in memory."""

    def __init__(self, marks: dict[TopicPartition, Mark]) -> None:
        self.now = dict(marks)
        self.calls: list[str] = []
        self.joined = False

    def marks(self, group: str, partitions: Any = None) -> dict[TopicPartition, Mark]:
        return {p: m for p, m in self.now.items() if partitions is None or p in partitions}

    def set_marks(self, group: str, marks: dict[TopicPartition, Mark]) -> None:
        self.calls.append("set")
        if self.joined:
            raise TryAgain("somebody has joined it.", reason="kafka")
        self.now |= marks

    def forget(self, group: str) -> None:
        self.calls.append("forget")
        self.now = {}


def reset(writer: Writer, *changes: Change, group: GroupNow = IDLE) -> Reset:
    return Reset(group, changes, writer)  # type: ignore[arg-type] # a double


@pytest.mark.parametrize(
    ("given", "aim"),
    [
        ({"to_earliest": True}, Aim("earliest")),
        ({"to_latest": True}, Aim("latest")),
        ({"to_offset": "7"}, Aim("offset", 7)),
        ({"to_datetime": "2026-01-01T00:00:00Z"}, Aim("time", 1_767_225_600_000)),
        ({"to_datetime": "2026-01-01"}, Aim("time", 1_767_225_600_000)),
        ({"to_datetime": "20260101T053000+0530"}, Aim("time", 1_767_225_600_000)),
        ({"by_duration": "P1D"}, Aim("time", 1_767_225_600_000)),
        ({"shift_by": "-100"}, Aim("shift", -100)),
        ({"shift_by": "+5"}, Aim("shift", 5)),
    ],
)
def test_the_words_are_read(given: dict[str, Any], aim: Aim) -> None:
    assert ResetOptions(**given).read(NOW) == aim


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "does not say where to"),
        ({"to_earliest": True, "shift_by": "1"}, "--to-earliest and --shift-by contradict"),
        ({"to_offset": "1", "from_file": Path("f")}, "contradict"),
        ({"to_offset": "-1"}, "--to-offset takes an offset"),
        ({"to_offset": str(2**63)}, "--to-offset takes an offset"),
        ({"to_offset": "5..3"}, "--to-offset takes an offset"),
        ({"to_offset": "text"}, "--to-offset takes an offset"),
        ({"shift_by": "text"}, "--shift-by takes a whole number"),
        ({"shift_by": "5..3"}, "--shift-by takes a whole number"),
        ({"shift_by": f"-{2**63}"}, "--shift-by takes a whole number"),
        ({"shift_by": "\x1b[2J"}, "--shift-by takes a whole number"),
        ({"shift_by": ""}, "--shift-by takes a whole number"),
        ({"to_datetime": "1700000000000"}, "ISO 8601"),
        ({"to_datetime": "31/01/2026"}, "ISO 8601"),
        ({"to_datetime": "1969-12-31"}, "begin in 1970"),
        ({"by_duration": "6 hours"}, "PnDTnHnMnS"),
    ],
)
def test_what_is_wrong_with_them_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as raised:
        ResetOptions(**given).read(NOW)

    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    ("committed", "ended", "new", "again", "skipped"),
    [
        (20, [], 15, 5, 0),
        (20, [], 25, 0, 5),
        (20, [], 20, 0, 0),
        (20, [(22, 24), (28, 30)], 20, 4, 0),
        (20, [(22, 24), (28, 30)], 15, 9, 0),
        (20, [(22, 24), (28, 30)], 23, 3, 2),
        (20, [(22, 24), (28, 30)], 30, 0, 6),
        (5, [], 10, 0, 0),
        (99, [], 10, 20, 0),
        (99, [], 30, 0, 0),
    ],
    ids=str,
)
def test_what_is_read_again_and_what_is_skipped(
    committed: int, ended: list[tuple[int, int]], new: int, again: int, skipped: int
) -> None:
    change = Change(standing(committed, Ended([Run(*run) for run in ended])), new)

    assert (change.read_again, change.skipped) == (again, skipped)
    assert change.changes is (committed != new or bool(ended))


@pytest.mark.parametrize(
    ("begins", "committed", "new", "again", "skipped"),
    [
        ("earliest", None, 15, 0, 5),
        ("earliest", None, 10, 0, 0),
        ("latest", None, 15, 15, 0),
        ("earliest", 20, None, 10, 0),
        ("latest", 20, None, 0, 10),
    ],
)
def test_without_an_offset_it_begins_where_the_settings_say(
    begins: Literal["earliest", "latest"],
    committed: int | None, new: int | None, again: int, skipped: int,
) -> None:  # fmt: skip
    change = Change(standing(committed), new, begins=begins)

    assert (change.read_again, change.skipped) == (again, skipped)


@given(st.data())
def test_the_books_of_a_reset_balance(data: st.DataObject) -> None:
    """Ended and open offsets change places only by being read again or skipped."""
    committed = data.draw(st.integers(10, 30))
    beyond = data.draw(st.sets(st.integers(committed + 1, 29))) if committed < 29 else set()
    ended = Ended([Run(offset, offset + 1) for offset in sorted(beyond)])
    new = data.draw(st.integers(10, 30))
    before = set(range(10, committed)) | beyond
    after = set(range(10, new))

    change = Change(standing(committed, ended), new)

    assert change.read_again == len(before - after)
    assert change.skipped == len(after - before)


def test_records_are_skipped_only_when_that_is_asked_for() -> None:
    forward = reset(Writer({}), Change(standing(20), 25))

    with pytest.raises(Misconfigured, match=r"skips 5 records .* of t-0") as raised:
        forward.allow(skip_records=False)

    assert "--skip-records" in str(raised.value)
    forward.allow(skip_records=True)
    reset(Writer({}), Change(standing(20), 15)).allow(skip_records=False)


def test_nothing_is_set_while_somebody_is_in_the_group() -> None:
    members = tuple(Member(f"m{n}", f"client-{n}", "/h", frozenset()) for n in range(7))
    busy = GroupNow("g", "stable", active=True, members=members)
    backward = reset(Writer({}), Change(standing(20), 15), group=busy)

    with pytest.raises(TryAgain, match=r"client-0 at /h \(m0\).* and 2 more"):
        backward.allow(skip_records=True)

    assert "refused until then" in backward.warnings()[0]


def test_what_is_set_is_read_back_and_what_was_is_in_the_undo_file() -> None:
    writer = Writer({T0: Mark(20, "m")})
    change = reset(writer, Change(standing(20, Ended([Run(22, 23)])), 15))

    undo = change.undo()
    change.write()

    assert undo == "t,0,20\n"
    assert writer.now == {T0: Mark(15)}
    assert writer.calls == ["set"]


def test_a_reset_that_somebody_else_has_overwritten_is_said() -> None:
    writer = Writer({T0: Mark(20)})
    change = reset(writer, Change(standing(20), 15))
    writer.set_marks = lambda *_: None  # type: ignore[method-assign] # as if it were undone

    with pytest.raises(TryAgain, match=r"has 20 committed for t-0, where 15 was set"):
        change.write()


def test_what_has_no_offset_again_takes_the_group_and_the_others_come_back() -> None:
    writer = Writer({T0: Mark(20), T1: Mark(7, "kept")})
    change = reset(writer, Change(standing(20), None))

    undo = change.undo()
    change.write()

    assert undo == "t,0,20\nt,1,7\n"
    assert writer.calls == ["forget", "set"]
    assert writer.now == {T1: Mark(7, "kept")}


def test_a_group_that_cannot_be_written_back_is_said_with_the_way_out() -> None:
    writer = Writer({T0: Mark(20), T1: Mark(7)})
    change = reset(writer, Change(standing(20), None))
    writer.joined = True

    with pytest.raises(TryAgain, match="set them with the undo file"):
        change.write()


def test_the_way_back_says_whether_it_skips() -> None:
    assert reset(Writer({}), Change(standing(20), 15)).undo_skips
    assert not reset(Writer({}), Change(standing(20), 25)).undo_skips
