import math
import random
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processor.kafka.progress import (
    BITS_PER_OPEN,
    LIMIT_BYTES,
    NOTHING,
    Ended,
    Ignored,
    Origin,
    Run,
    read,
    write,
)

HERE = Origin("9sJRDfEjQ4qzLhbOfL5m4A", "3hVl-nE8RnKPH_nB3cq1XQ")
LENGTHS = st.one_of(st.integers(1, 20), st.integers(1, 1 << 40))
END = 1 << 62


def runs_from(offset: int, lengths: list[tuple[int, int]]) -> list[Run]:
    runs = []
    for waiting, ended in lengths:
        runs.append(Run(offset + waiting, offset + waiting + ended))
        offset = runs[-1].stop
    return runs


def signed(text: str) -> str:
    """The same fields with a checksum that fits."""
    version, cluster, topic, offset, _, runs = text.split(";")
    head = f"{version};{cluster};{topic};{offset}"
    return f"{head};{zlib.crc32(f'{head};{runs}'.encode()):08x};{runs}"


@given(st.integers(0, 1 << 60), st.lists(st.tuples(LENGTHS, LENGTHS), max_size=200))
@example(0, [(8, 9), (9, 8), (1, 1)])
@settings(deadline=None)
def test_what_is_written_is_read_again(offset: int, lengths: list[tuple[int, int]]) -> None:
    runs = runs_from(offset, lengths)

    text = write(offset, runs, HERE)

    assert list(read(text, offset, HERE, 1 << 63)) == runs
    assert (text == "") == (runs == [])
    assert len(text.encode()) <= LIMIT_BYTES


@given(st.integers())
@settings(max_examples=20, deadline=None)
def test_what_does_not_fit_is_left_out_from_the_end(seed: int) -> None:
    dice = random.Random(seed)
    lengths = [(dice.randint(1, 9), dice.randint(1, 9)) for _ in range(9_000)]
    runs = runs_from(7, lengths)

    text = write(7, runs, HERE)

    kept = list(read(text, 7, HERE, END))
    assert LIMIT_BYTES - 8 <= len(text) <= LIMIT_BYTES
    assert kept == runs[: len(kept)]
    assert len(kept) > 2_000


def test_a_long_wait_for_one_record_takes_a_few_characters() -> None:
    text = write(5, [Run(6, 900_000_000)], HERE)

    assert len(text.rpartition(";")[2]) == 12


def test_a_checkerboard_takes_a_bit_for_each_offset() -> None:
    runs = [Run(n, n + 1) for n in range(1, 20_000, 2)]

    text = write(0, runs, HERE)

    assert len(text.rpartition(";")[2]) == math.ceil(20_000 / 6)
    assert list(read(text, 0, HERE, END)) == runs


@pytest.mark.parametrize("length", [*range(1, 300), 1 << 20])
def test_no_code_takes_more_than_the_bound_says(length: int) -> None:
    text = write(0, [Run(length, 2 * length)] * 1, HERE).rpartition(";")[2]

    assert (len(text) - 2) * 6 <= 2 * length * BITS_PER_OPEN


@pytest.mark.parametrize(
    ("offset", "origin", "end", "reason"),
    [
        (8, HERE, END, "another offset"),
        (6, HERE, END, "another offset"),
        (7, HERE._replace(cluster_id="elsewhere"), END, "another cluster"),
        (7, HERE._replace(topic_id="recreated"), END, "another topic, which had this name before"),
        (7, None, END, "the broker does not tell"),
        (7, HERE, None, "the broker does not tell"),
        (7, HERE, 11, "more records than the log holds"),
    ],
)
def test_what_is_about_other_records_is_ignored(
    offset: int, origin: Origin | None, end: int | None, reason: str
) -> None:
    text = write(7, [Run(9, 12)], HERE)

    with pytest.raises(Ignored, match=reason):
        read(text, offset, origin, end)


@pytest.mark.parametrize("text", ["2;and;so;on", "v1", "{}", "1", " 1;a;b;7;c;d", "\N{SNOWMAN}"])
def test_a_format_that_is_not_known_is_ignored(text: str) -> None:
    with pytest.raises(Ignored):
        read(text, 7, HERE, END)


def test_the_next_version_s_metadata_is_no_damage() -> None:
    text = "2" + write(7, [Run(9, 12)], HERE)[1:]

    with pytest.raises(Ignored, match="format is not known"):
        read(text, 7, HERE, END)


@given(st.data())
@settings(deadline=None)
def test_any_changed_character_is_noticed(data: st.DataObject) -> None:
    text = write(7, [Run(9, 12), Run(40, 77)], HERE)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[place]))

    with pytest.raises(Ignored):
        read(text[:place] + other + text[place + 1 :], 7, HERE, END)


@given(st.text())
def test_whatever_stands_there_is_never_an_error(text: str) -> None:
    for made in (text, f"1;{text}"):
        if made:
            with pytest.raises(Ignored):
                read(made, 7, HERE, END)


@given(st.text("ABCDefgh_-09=é+ ", max_size=30))
@settings(deadline=None)
def test_runs_are_read_only_in_the_form_in_which_they_are_written(runs: str) -> None:
    text = signed(f"1;{HERE.cluster_id};{HERE.topic_id};7;0;{runs}")

    try:
        ended = list(read(text, 7, HERE, 1 << 63))
    except Ignored:
        return

    assert write(7, ended, HERE) == text


@pytest.mark.parametrize("runs", ["A", "AAAA", "gA", "AAAAAAAAAAAAAAAAAAAAAAE", "wAAA", "=", ""])
def test_bits_that_are_no_whole_runs_are_damage(runs: str) -> None:
    text = signed(f"1;{HERE.cluster_id};{HERE.topic_id};7;0;{runs}")

    with pytest.raises(Ignored, match="damaged"):
        read(text, 7, HERE, 1 << 63)


def test_nothing_is_written_that_nobody_could_honour() -> None:
    assert write(7, [Run(9, 12)], None) == ""
    assert write(7, [Run(9, 12)], Origin("with;semicolon", "x")) == ""
    assert list(read("", 7, None, None)) == []


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=8), st.integers(0, 60))
def test_ended_runs_know_their_offsets_and_what_is_left(
    lengths: list[tuple[int, int]], cut: int
) -> None:
    runs = runs_from(3, lengths)
    offsets = {n for run in runs for n in range(*run)}
    ended = Ended(runs)

    rest = ended.after(cut)

    assert {n for n in range(100) if ended.covers(n)} == offsets
    assert {n for n in range(100) if rest.covers(n)} == {n for n in offsets if n >= cut}
    assert bool(rest) == any(n >= cut for n in offsets)
    assert not NOTHING
