"""What is known of letters: which are meant, what is left, and what is tidied away."""

from collections.abc import Collection, Mapping

import pytest

from processor.connector.passage import Story
from processor.errors import Misconfigured
from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.replays.later_records import LaterRecords, Newer
from processor.operations.replays.letters import story as letters_story
from processor.operations.replays.letters.state import left, tidy, wanted
from processor.operations.replays.letters.story import Stories
from processor.operations.resolutions.resolutions import Outcome, Place, Resolutions, Resolved, Word
from processor.operations.resolutions.runs import of_any
from processor.record import Record, TopicPartition

LETTERS = TopicPartition("t.dlq", 0)
FATES = {
    0: Outcome(Word.DELIVERED),
    1: Outcome(Word.PARTLY),
    2: Outcome(Word.DISCARDED),
    3: Outcome(Word.FAILED, "gate.violation"),
}


def resolutions(at: str = "2026-01-31T12:00:00Z", topic_id: str = "id") -> Resolutions:
    entries = []
    for offset, outcome in FATES.items():
        resolved = Resolved({outcome: of_any([offset])}, "ann@host", at, topic_id)
        entries.append(Entry(Place(LETTERS, f"r{offset}", 0).key, resolved.document(), offset, 0))
    return Resolutions(entries, {"t.dlq": "id"})


@pytest.mark.parametrize(
    ("action", "before", "expected"),
    [
        ("open", "", {1, 4}),
        ("replayed", "", {0, 1, 3}),
        ("discarded", "", {2}),
        ("any", "", {0, 1, 2, 3, 4}),
        ("any", "2026-01-31T11:00:00Z", {1, 4}),
        ("discarded", "2026-01-31T13:00:00Z", {2}),
    ],
)
def test_which_letters_are_meant(action: str, before: str, expected: set[int]) -> None:
    letters = Chosen({LETTERS: Offsets.of(0, 5)})

    kept = left(letters, resolutions(), wanted(action, before))

    assert {o for o in range(5) if kept.has(LETTERS, o)} == expected
    assert left(Chosen({LETTERS: of_any([0])}), resolutions(), wanted("open")) == Chosen()


def test_another_word_is_refused() -> None:
    with pytest.raises(Misconfigured, match="--resolution is one of open"):
        wanted("closed")


class State:
    def __init__(self) -> None:
        self.deleted: list[str] = []

    def read(self, prefix: str = "") -> Mapping[str, Entry]:
        raise NotImplementedError(prefix)  # these tests only write: a call is a failure

    def write_many(self, documents: Mapping[str, Document | None]) -> Mapping[str, int]:
        assert set(documents.values()) <= {None}
        self.deleted += documents
        return {}


class Log:
    def __init__(self, start: int) -> None:
        self._start = start

    def topics(self) -> Mapping[str, int]:
        return {"t.dlq": 1}

    def starts(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, self._start)


def test_what_was_said_of_letters_that_are_gone_is_tidied_away() -> None:
    state = State()

    assert tidy(state, resolutions(), Log(0)) == 0
    assert tidy(state, resolutions(), Log(2)) == 2
    assert state.deleted == ["resolution/t.dlq/0/r0/0", "resolution/t.dlq/0/r1/0"]
    assert tidy(state, resolutions(topic_id="old"), Log(0)) == 4


def test_of_a_letter_that_was_delivered_in_part_only_the_rest_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = LaterRecords.__new__(LaterRecords)
    stories = Stories(later, resolutions(), frozenset({"loyalty", "profile"}), allow_stale=True)

    def targets(offset: int, *failed: str) -> set[str]:
        story = Story("t", 0, offset, 1, frozenset(failed), 0)
        monkeypatch.setattr(letters_story, "read_story", lambda _record: story)
        told = stories.of(Record("t.dlq", 0, offset))
        assert told is not None
        assert isinstance(told.newer, Newer)
        assert (told.newer.source.offset, told.newer.allowed) == (offset, True)
        return set(told.targets)

    assert targets(4, "event", "loyalty") == {"event", "loyalty"}
    assert targets(1, "event", "loyalty#1") == {"loyalty#1"}
    assert targets(1) == {"loyalty", "profile"}
    assert targets(4) == set()
