from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.connector.judge import CODES, Judge, Kind, Step, Verdict
from processor.errors import Code

ALIKE = Kind(Code.DELIVERY_REFUSED, "event")
OTHER = Kind(Code.GATE_VIOLATION, "event")
ELSEWHERE = Kind(Code.DELIVERY_REFUSED, "profile")
RECORD, UNDECIDED, SET_UP = Verdict.RECORD, Verdict.UNDECIDED, Verdict.SET_UP


class Court:
    """A judge, and its clock."""

    def __init__(self, ratio: float = 0.5, window: int = 40, least: int = 10) -> None:
        self.now_s = 0.0
        self.judge = Judge(ratio=ratio, window=window, least=least, clock=lambda: self.now_s)

    def sound(self, count: int, step: Step = ALIKE.step) -> None:
        for _ in range(count):
            self.judge.sound(step)

    def failed(self, count: int, kind: Kind = ALIKE) -> list[Verdict]:
        return [self.judge.failed(kind) for _ in range(count)]

    def mixed(self, *, fails: int, of: int, records: int) -> list[Verdict]:
        verdicts = []
        for number in range(records):
            if number % of < fails:
                verdicts.append(self.judge.failed(ALIKE))
            else:
                self.judge.sound(ALIKE.step)
        return verdicts


def letters(verdicts: Iterable[Verdict]) -> int:
    return list(verdicts).count(RECORD)


def test_when_all_fail_alike_fewer_than_the_least_are_the_records_fault() -> None:
    assert Court().failed(12) == [RECORD] * 9 + [SET_UP] * 3


def test_a_lone_failure_is_the_records_fault() -> None:
    court = Court()
    court.sound(5)

    assert court.failed(1) == [RECORD]


def test_failures_that_are_few_are_the_records_fault_for_ever() -> None:
    assert set(Court().mixed(fails=1, of=5, records=1000)) == {RECORD}


def test_after_sound_records_the_least_are_letters_then_it_waits_then_it_is_the_set_up() -> None:
    court = Court()
    court.sound(100)

    verdicts = court.failed(25)

    assert verdicts == [RECORD] * 10 + [UNDECIDED] * 9 + [SET_UP] * 6


def test_what_fails_often_but_not_enough_is_suspected_and_acquitted() -> None:
    court = Court()

    verdicts = court.mixed(fails=2, of=5, records=40)
    before = court.judge.due()
    court.mixed(fails=2, of=5, records=40)

    assert verdicts[-1] is UNDECIDED
    assert before == []
    assert court.judge.due() == [ALIKE]
    assert court.judge.decide(ALIKE) is RECORD
    assert court.judge.due() == []


def test_a_suspicion_is_decided_after_a_minute_by_what_came_since() -> None:
    court = Court(window=1000, least=10)
    court.sound(1000)
    court.failed(11)
    assert court.judge.due() == []
    assert court.judge.due_s == 60.0
    court.failed(9)

    court.now_s = 60.0

    assert court.judge.due() == [ALIKE]
    assert court.judge.decide(ALIKE) is SET_UP


def test_too_few_since_the_suspicion_are_the_records_fault() -> None:
    court = Court(window=1000, least=10)
    court.sound(1000)
    court.failed(15)

    court.now_s = 60.0

    assert court.judge.decide(ALIKE) is RECORD


@pytest.mark.parametrize(("count", "seconds", "last"), [
    (10, 60.0, SET_UP), (9, 60.0, RECORD), (10, 59.0, RECORD),
])  # fmt: skip
def test_on_a_quiet_topic_ten_in_a_minute_are_enough(
    count: int, seconds: float, last: Verdict
) -> None:
    court = Court(least=100, window=1000)
    verdicts = court.failed(count - 1)
    court.now_s = seconds

    assert [*verdicts, court.judge.failed(ALIKE)] == [RECORD] * (count - 1) + [last]


def test_failures_of_another_kind_are_not_alike() -> None:
    court = Court()
    verdicts = []
    for number in range(60):
        kinds = (
            OTHER,
            Kind(Code.MAPPING_TYPE, "event"),
            Kind(Code.MAPPING_EXPRESSION, "event"),
        )
        verdicts.append(court.judge.failed(kinds[number % 3]))

    assert SET_UP not in verdicts


def test_what_one_step_knows_sooner_says_nothing_of_the_next() -> None:
    court = Court()
    court.sound(1000, OTHER.step)

    assert court.failed(10)[-1] is SET_UP
    assert court.failed(2, OTHER) == [RECORD, RECORD]


def test_each_target_has_a_window_of_its_own() -> None:
    court = Court()
    court.sound(1000, ELSEWHERE.step)

    assert court.failed(10)[-1] is SET_UP
    assert court.judge.failed(ELSEWHERE) is RECORD


def test_once_mended_it_is_judged_anew() -> None:
    court = Court()
    court.failed(20)

    court.judge.clear(ALIKE)

    assert court.failed(12) == [RECORD] * 9 + [SET_UP] * 3


def test_what_was_let_be_is_let_be_until_it_is_rare() -> None:
    court = Court()
    court.failed(20)
    court.judge.let_be(ALIKE)

    let_be = court.failed(100)
    court.sound(21)  # from here on it is rare
    court.sound(15)
    still = court.failed(20)
    court.sound(60)
    again = court.failed(40)

    assert set(let_be) == {RECORD}
    assert set(still) == {RECORD}
    assert SET_UP in again


def test_what_was_let_be_before_it_was_seen_is_judged_again_after_a_window_without_it() -> None:
    court = Court()
    court.judge.let_be(ALIKE)
    at_once = court.failed(20)
    court.sound(100)

    assert set(at_once) == {RECORD}
    assert SET_UP in court.failed(40)


def test_the_kinds_id_says_neither_field_nor_schema() -> None:
    assert len(ALIKE.id) == 12
    assert len({ALIKE.id, OTHER.id, ELSEWHERE.id}) == 3


def test_only_what_a_set_up_can_cause_is_judged() -> None:
    assert {
        "decode.unknown_schema_id",
        "mapping.expression",
        "mapping.type",
        "mapping.no_identity",
        "gate.violation",
        "gate.too_large",
        "delivery.refused",
    } == CODES


@given(
    sound=st.integers(0, 200),
    ratio=st.sampled_from([0.25, 0.5, 0.9, 1.0]),
    least=st.integers(1, 30),
    window=st.integers(30, 60),
)
def test_whatever_was_before_no_more_letters_than_the_least_precede_the_brake(
    sound: int, ratio: float, least: int, window: int
) -> None:
    court = Court(ratio=ratio, window=window, least=least)
    court.sound(sound)

    verdicts = court.failed(2 * window)

    assert letters(verdicts) <= least
    assert verdicts[-1] is SET_UP
