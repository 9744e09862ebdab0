"""Outcomes that are gathered while a replay runs: none is lost, whatever fails in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.kafka.state_entry import Entry
from processor.operations.resolutions import resolving
from processor.operations.resolutions.resolutions import Outcome, Resolutions, Word
from processor.operations.resolutions.resolving import Resolving
from processor.record import Position, TopicPartition

OUTCOMES = [Outcome(Word.DELIVERED), Outcome(Word.FAILED, "gate.violation")]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 200), st.sampled_from(OUTCOMES)),
        st.booleans(),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 5))
def test_what_was_noted_is_written_however_often_writing_fails(
    steps: list[tuple[int, int, Outcome] | bool], full: int
) -> None:
    state: dict[str, Entry] = {}
    noted: dict[tuple[int, int], Outcome] = {}
    writing = Resolving("r", "ann@host", {"t": "id"}, lambda _partition, _run: 3)

    def write(*, acknowledged: bool) -> None:
        batch = writing.entries(at="2026-01-31T12:00:00Z")
        for key, document in batch.documents.items():
            state[key] = Entry(key, document, len(noted), 0)
        if acknowledged:
            writing.written(batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resolving, "FULL_RUNS", full)
        for step in steps:
            if isinstance(step, bool):
                write(acknowledged=step)
            elif step[:2] not in noted:
                noted[step[0], step[1]] = step[2]
                writing.note(Position("t", step[0], step[1]), step[2])
        write(acknowledged=True)

    found = Resolutions(state.values(), {"t": "id"})
    assert writing.waiting == 0
    assert all(int(key.rpartition("/")[2]) >= 3 for key in state)
    for partition in (0, 1):
        for offset in range(201):
            resolution = found.of(TopicPartition("t", partition), offset)
            assert (resolution and resolution.outcome) == noted.get((partition, offset))


def test_what_is_noted_while_it_is_written_comes_with_the_next() -> None:
    writing = Resolving("r", "", {}, lambda _partition, _run: 0)
    writing.note(Position("t", 0, 1), OUTCOMES[0])
    batch = writing.entries(at="")
    writing.note(Position("t", 0, 2), OUTCOMES[0])

    writing.written(batch)

    assert writing.waiting == 1
    state = [Entry(key, d, 0, 0) for key, d in writing.entries(at="").documents.items()]
    assert not Resolutions(state, {}).is_open(TopicPartition("t", 0), 2)
