import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.connector.backoff import FIRST_CEILING_S, RETRY_AFTER_CAP_S, Backoff
from processor.connector.trouble import Trouble


@given(st.integers(1, 10_000_000), st.floats(0.01, 600))
def test_a_wait_is_between_nothing_and_a_ceiling_that_doubles(attempts: int, top_s: float) -> None:
    ceiling_s = min(top_s, FIRST_CEILING_S * 2 ** min(attempts - 1, 100))

    wait_s = Backoff(top_s).wait_s(attempts)

    assert 0 <= wait_s <= ceiling_s


def test_waits_are_spread() -> None:
    waits = {Backoff(60.0).wait_s(8) for _ in range(50)}

    assert len(waits) == 50
    assert max(waits) - min(waits) > 10


@given(st.floats(0, 1e12))
def test_a_retry_after_is_honoured_up_to_a_cap(asked_s: float) -> None:
    wait_s = Backoff(1.0).wait_s(3, asked_s)

    assert min(asked_s, RETRY_AFTER_CAP_S) <= wait_s <= max(1.0, min(asked_s, RETRY_AFTER_CAP_S))


@pytest.mark.parametrize("asked_s", [-5.0, 0.0])
def test_a_retry_after_that_asks_for_nothing_changes_nothing(asked_s: float) -> None:
    assert 0 <= Backoff(1.0).wait_s(1, asked_s) <= FIRST_CEILING_S


def test_each_probe_that_fails_waits_from_then_on() -> None:
    backoff = Backoff(60.0)
    trouble = Trouble.begin("experience_platform", backoff, 100.0, 7.0)

    trouble.failed(backoff, 107.0, 20.0)

    assert trouble.attempts == 2
    assert trouble.until_s >= 127.0


def test_what_was_on_its_way_when_trouble_began_does_not_count_but_is_heard() -> None:
    backoff = Backoff(0.1)
    trouble = Trouble.begin("experience_platform", backoff, 100.0, 7.0)

    trouble.failed(backoff, 101.0, None)
    unchanged_s = trouble.until_s
    trouble.failed(backoff, 101.0, 30.0)

    assert unchanged_s == 107.0
    assert (trouble.attempts, trouble.until_s) == (1, 131.0)
