"""A claim as a run holds it: taken, renewed in time or not, let go."""

import time
from collections.abc import Mapping

import pytest

from processor.errors import TryAgain
from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.resolutions.claiming import Claiming, at_work, claiming, running
from processor.operations.resolutions.claims import HOLDS_MS, Claimant, renewal_key
from processor.record import TopicPartition

PLACE = TopicPartition("t.dlq", 0)
LETTERS = Chosen({PLACE: Offsets.of(0, 10)})


class Memory:
    """A state topic, with a clock of its brokers'."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.now_ms = now_ms
        self.entries: dict[str, Entry] = {}
        self.written = 0
        self.away = False

    def read(self, prefix: str = "") -> Mapping[str, Entry]:
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefix)}

    def write_many(self, documents: Mapping[str, Document | None]) -> Mapping[str, int]:
        if self.away:
            raise TryAgain("away", reason="kafka")
        for key, document in documents.items():
            self.written += 1
            self.entries.pop(key, None)
            if document is not None:
                self.entries[key] = Entry(key, document, self.written, self.now_ms)
        return {}


def claim_of(state: Memory, run: str, gone: str = "") -> Claiming:
    who = Claimant(run, f"replay {run}", "ann@host", f"process {run}")
    return Claiming(state, who, gone=gone.__eq__)


def test_the_first_has_them_and_the_second_when_it_has_let_go() -> None:
    state = Memory()
    ann, bob = claim_of(state, "a"), claim_of(state, "b")

    assert ann.take(LETTERS)[0].ours == LETTERS
    assert bob.take(LETTERS)[0].ours == Chosen()
    ann.release()
    assert claim_of(state, "c").take(LETTERS)[0].ours == Chosen()
    bob.release()
    assert claim_of(state, "d", gone="process c").take(LETTERS)[0].ours == LETTERS


def test_one_that_was_killed_blocks_until_its_claim_ends() -> None:
    state = Memory()
    claim_of(state, "a").take(LETTERS)
    state.now_ms += HOLDS_MS - 1
    assert claim_of(state, "b").take(LETTERS)[0].ours == Chosen()
    state.now_ms += HOLDS_MS

    assert claim_of(state, "c").take(LETTERS)[0].ours == LETTERS


@pytest.mark.parametrize(("silent_s", "ends"), [(1.0, False), (20.0, True)])
def test_who_was_silent_for_long_looks_whether_somebody_took_over(
    silent_s: float, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, now_s = Memory(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    ann = claim_of(state, "a")
    ann.take(LETTERS)
    state.now_ms += HOLDS_MS + 1
    claim_of(state, "b").take(LETTERS)
    now_s[0] += silent_s

    why = ann.renew()

    assert bool(why) is ends
    assert ("replay b of ann@host" in why) is ends
    assert renewal_key("a") in state.entries


def test_a_late_renewal_goes_on_where_nobody_came(monkeypatch: pytest.MonkeyPatch) -> None:
    state, now_s = Memory(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    ann = claim_of(state, "a")
    ann.take(LETTERS)
    now_s[0] += 1_000

    assert ann.renew() == ""


def test_it_is_let_go_whatever_happens() -> None:
    state = Memory()

    def fail() -> None:
        with claiming(state, "replay r", "r") as claim:
            claim.take(LETTERS)
            assert state.entries
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert state.entries == {}
    with claiming(state, "replay r", "r") as claim:
        claim.take(LETTERS)
        state.away = True


def test_who_is_at_work_is_told() -> None:
    state = Memory(now_ms=2**53)
    claim_of(state, "a").take(LETTERS)

    def found(gone: str) -> list[Claimant | None]:
        asked = {"gone": gone.__eq__}
        return [
            running(state.entries, "replay a", **asked),
            running(state.entries, "replay b", **asked),
            at_work(state.entries, {PLACE: (9, 20)}, **asked),
            at_work(state.entries, {PLACE: (10, 20)}, **asked),
        ]

    assert [who and who.run for who in found("")] == ["a", None, "a", None]
    assert found("process a") == [None] * 4
