"""Sets of offsets: what is written is read back, and their arithmetic is that of sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.operations.chosen import Offsets
from processor.operations.resolutions import runs
from processor.operations.resolutions.runs import (
    RUNS_A_PIECE,
    both,
    minus,
    of_any,
    of_runs,
    pack,
    pieces,
    read,
    union,
    unpack,
    write,
)

SMALL = st.sets(st.integers(0, 60))
ANY = st.sets(st.one_of(st.integers(0, 300), st.integers(2**62, 2**62 + 300)))


def members(offsets: Offsets) -> set[int]:
    return {offset for start, end in offsets.runs() for offset in range(start, end)}


@given(ANY)
def test_both_forms_are_read_back(numbers: set[int]) -> None:
    offsets = of_any(numbers)

    assert members(unpack(pack(offsets))) == members(read(write(offsets))) == numbers
    assert unpack(pack(offsets)) == offsets == read(write(offsets))
    assert len(unpack(pack(offsets))) == len(numbers)


@given(SMALL, SMALL)
def test_their_arithmetic_is_that_of_sets(one: set[int], other: set[int]) -> None:
    a, b = of_any(one), of_any(other)

    assert members(union(a, b)) == one | other
    assert members(both(a, b)) == one & other
    assert members(minus(a, b)) == one - other


@given(SMALL, st.integers(1, 5))
def test_pieces_are_short_and_lose_nothing(numbers: set[int], most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "RUNS_A_PIECE", most)
        cut = list(pieces(of_any(numbers)))

    assert set().union(*map(members, cut)) == numbers
    assert all(0 < len(list(piece.runs())) <= most for piece in cut)


def test_the_widest_piece_is_below_200_000_characters() -> None:
    step = 2**63 // (2 * RUNS_A_PIECE + 1)
    widest = of_runs((n * 2 * step, (n * 2 + 1) * step) for n in range(1, RUNS_A_PIECE))

    assert 150_000 < len(pack(widest)) < 200_000


@pytest.mark.parametrize(
    "text", ["x", "AAAA", "gA==", "gICAgICAgICAgICAgIAB", "Aw==", "AQE=AQ==", "AQEA", "é"]
)
def test_what_is_no_packed_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack(text)


@pytest.mark.parametrize("text", ["1-", "-3", "5,3", "1-0", "3,3", " 1", "٣", "1,,2"])
def test_what_is_no_written_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text)


def test_for_people_it_reads_as_they_write() -> None:
    assert write(of_any([0, 1, 2, 7, 9, 10])) == "0-2,7,9-10"
    assert write(Offsets()) == ""
