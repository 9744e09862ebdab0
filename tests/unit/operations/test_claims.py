"""Claims: of two runs that mean a letter exactly one has it, whoever asks."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.kafka.state_entry import Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.resolutions.claims import (
    FORGOTTEN_MS,
    HOLDS_MS,
    Claimant,
    claim_entries,
    forgotten,
    read_claims,
    renewal_key,
    share,
)
from processor.operations.resolutions.runs import of_any
from processor.record import TopicPartition

LETTERS = TopicPartition("t.dlq", 0)
NOW_MS = 1_000_000


def claimant(run: str, process: str = "alive") -> Claimant:
    return Claimant(run, f"replay {run}", "ann@host", process)


def entries(who: Claimant, offsets: set[int], *, place: int, at_ms: int = NOW_MS) -> list[Entry]:
    documents = claim_entries(who, Chosen({LETTERS: of_any(offsets)}))
    return [
        Entry(key, document, place + number, at_ms)
        for number, (key, document) in enumerate(documents.items())
    ]


def members(chosen: Chosen) -> set[int]:
    return {
        offset
        for offsets in chosen.by_partition.values()
        for start, end in offsets.runs()
        for offset in range(start, end)
    }


def has(run: str, found: list[Entry], now_ms: int = NOW_MS, gone: str = "") -> set[int]:
    return members(share(run, read_claims(found), now_ms=now_ms, gone=gone.__eq__).ours)


@given(
    st.permutations("abc"), st.fixed_dictionaries({r: st.sets(st.integers(0, 9)) for r in "abc"})
)
def test_of_all_that_mean_a_letter_exactly_one_has_it(
    order: list[str], wanted: Mapping[str, set[int]]
) -> None:
    found = list(
        itertools.chain.from_iterable(
            entries(claimant(run), wanted[run], place=10 * n) for n, run in enumerate(order)
        )
    )

    shares = {run: has(run, found) for run in order}

    for letter in set().union(*wanted.values()):
        first = next(run for run in order if letter in wanted[run])
        # One that lost it holds it against those that come later all the same: it is not known
        # to them who of the two will have it done.
        assert [run for run in order if letter in shares[run]] == [first]


def test_the_loser_is_told_who_has_them() -> None:
    ann, bob = claimant("a"), claimant("b")
    found = [*entries(ann, {1, 2, 3}, place=1), *entries(bob, {2, 3, 4}, place=2)]

    lost = share("b", read_claims(found), now_ms=NOW_MS, gone=lambda _process: False)

    assert members(lost.ours) == {4}
    assert lost.others == {ann: 2}


def test_a_claim_holds_as_long_as_it_is_renewed() -> None:
    old = entries(claimant("a"), {1}, place=1, at_ms=NOW_MS - HOLDS_MS)
    ours = entries(claimant("b"), {1}, place=2)
    renewal = Entry(renewal_key("a"), {}, 3, NOW_MS - HOLDS_MS + 1)

    assert has("b", [*old, *ours]) == {1}
    assert has("b", [*old, *ours, renewal]) == set()
    assert has("b", [*old, *ours, renewal], now_ms=NOW_MS + 1) == {1}


def test_a_claim_of_a_process_that_is_gone_holds_nothing() -> None:
    found = [*entries(claimant("a", "dead"), {1}, place=1), *entries(claimant("b"), {1}, place=2)]

    assert has("b", found, gone="dead") == {1}
    assert has("b", found, gone="other") == set()


def test_what_ended_long_ago_is_forgotten() -> None:
    found = entries(claimant("a"), {1}, place=1)
    end_ms = NOW_MS + HOLDS_MS + FORGOTTEN_MS

    assert forgotten(read_claims(found), now_ms=end_ms) == []
    assert forgotten(read_claims(found), now_ms=end_ms + 1) == [found[0].key, renewal_key("a")]


@pytest.mark.parametrize("key", ["claim/t/x/r/0", "claim/t", "claim/t/0/r/0"])
def test_what_is_not_of_the_form_is_passed_over(key: str) -> None:
    assert read_claims([Entry(key, {"runs": "é"}, 0, 0)]) == []


def test_nothing_claimed_is_nothing_had() -> None:
    assert claim_entries(claimant("a"), Chosen({LETTERS: Offsets()})) == {}
    assert has("a", []) == set()
