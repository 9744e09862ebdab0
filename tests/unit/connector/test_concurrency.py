from hypothesis import given
from hypothesis import strategies as st

from processor.connector.concurrency import Concurrency

CEILING = 16


class Line:
    """Requests in rounds: as many as may be, each round as long as the round-trip time."""

    def __init__(self) -> None:
        self.concurrency = Concurrency(CEILING)
        self.now_s = 0.0

    @property
    def limit(self) -> int:
        return self.concurrency.limit

    def rounds(self, count: int, rtt_s: float = 0.1, *, in_use: int | None = None) -> None:
        for _ in range(count):
            sent, began_s = self.limit, self.now_s
            self.now_s += rtt_s
            for _ in range(sent):
                busy = sent if in_use is None else in_use
                self.concurrency.answered(began_s, self.now_s, in_use=busy)

    def refused(self, count: int = 1) -> None:
        began_s = self.now_s
        self.now_s += 0.1
        for _ in range(count):
            self.concurrency.refused(began_s, self.now_s)


def test_it_starts_at_the_ceiling_and_stays_there_while_all_is_well() -> None:
    line = Line()
    line.rounds(100)

    assert line.limit == CEILING


def test_a_refusal_halves_it_however_many_of_the_round_are_refused() -> None:
    line = Line()
    line.refused(count=16)

    assert line.limit == 8


def test_refused_again_and_again_one_request_is_left() -> None:
    line = Line()
    for _ in range(20):
        line.refused()

    assert line.limit == 1


def test_each_round_that_passes_allows_one_more() -> None:
    line = Line()
    for _ in range(20):
        line.refused()

    limits = []
    for _ in range(4):
        line.rounds(1)
        limits.append(line.limit)
    line.rounds(40)

    assert limits[0] == 2
    assert limits[-1] in {4, 5}
    assert line.limit == CEILING


def test_what_is_not_needed_is_not_raised() -> None:
    line = Line()
    line.refused()
    line.rounds(50, in_use=3)

    assert line.limit == 8


def test_where_answers_take_much_longer_there_are_fewer() -> None:
    line = Line()
    line.rounds(20, rtt_s=0.1)
    line.rounds(3, rtt_s=1.5)

    assert line.limit == 11


def test_a_slowness_that_lasts_becomes_usual() -> None:
    line = Line()
    line.rounds(20, rtt_s=0.1)
    line.rounds(100, rtt_s=1.5)

    assert line.limit == CEILING


@given(st.lists(st.floats(0.0, 0.24), min_size=1, max_size=200))
def test_the_noise_of_a_fast_line_slows_nothing(times_s: list[float]) -> None:
    line = Line()
    for rtt_s in times_s:
        line.rounds(1, rtt_s)

    assert line.limit == CEILING


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 30.0)), max_size=200))
def test_whatever_happens_it_is_between_one_and_the_ceiling(what: list[tuple[bool, float]]) -> None:
    line = Line()
    for refused, rtt_s in what:
        if refused:
            line.refused()
        else:
            line.rounds(1, rtt_s)
        assert 1 <= line.limit <= CEILING
