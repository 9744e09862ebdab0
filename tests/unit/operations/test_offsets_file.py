"""Offsets as CSV: what is written is read back, and what is wrong is said with its line."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Misconfigured, ProcessorError
from processor.operations.offsets.file import (
    csv_of,
    may_be_written,
    read_csv,
    read_file,
    write_new,
)
from processor.record import TopicPartition

PLACES = st.builds(
    TopicPartition, st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True), st.integers(0, 999)
)


@given(st.dictionaries(PLACES, st.none() | st.integers(0, 2**63 - 1), min_size=1))
def test_what_is_written_is_read_back(offsets: dict[TopicPartition, int | None]) -> None:
    assert read_csv(csv_of(offsets), source="f") == offsets


@pytest.mark.parametrize(
    "text",
    [
        "t,0,5\nt,1,none\n",
        '"topic","partition","offset"\n"t",0,5\n"t",1,NONE',
        "topic, partition, offset\r\n\r\n t , 0 , 5 \r\nt,1,none\r\n",
    ],
)
def test_lines_are_read_as_kafka_s_tool_writes_them(text: str) -> None:
    assert read_csv(text, source="f") == {TopicPartition("t", 0): 5, TopicPartition("t", 1): None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no line"),
        ("topic,partition,offset\n", "holds no line"),
        ("t,0,5\nt,0,6\n", "line 2: t-0 stands there twice"),
        ("group,t,0,5\n", "line 1 is not topic,partition,offset"),
        ("t,0\n", "line 1 is not topic,partition,offset"),
        ("a b,0,5\n", "line 1 is not topic,partition,offset"),
        ("\x1b[2J,0,5\n", r"\\x1b\[2J"),
        ("t,0,5\nt,1,-1\n", "line 2: an offset file takes an offset"),
        (f"t,1,{2**63}\n", "takes an offset"),
        ("t,1,5..3\n", "takes an offset"),
        ("t,-1,5\n", "takes a partition"),
        ("t,x,5\n", "takes a partition"),
        ('t,"0,5\n', "is no CSV file"),
        ("topic,partition,offset\ntopic,partition,offset\n", "takes a partition"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as raised:
        read_csv(text, source="f")

    assert "\x1b" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    for path in (tmp_path / "missing", tmp_path, tmp_path / "binary"):
        with pytest.raises(Misconfigured, match="--from-file"):
            read_file(path)


def test_an_undo_file_is_new_and_nobody_else_s(tmp_path: Path) -> None:
    path = tmp_path / "undo.csv"
    may_be_written(path)

    write_new(path, "t,0,5\n")

    assert path.read_text() == "t,0,5\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Misconfigured, match="exists already"):
        may_be_written(path)
    with pytest.raises(ProcessorError, match="nothing was changed"):
        write_new(path, "other")
    assert path.read_text() == "t,0,5\n"
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Misconfigured, match="exists already"):
        may_be_written(dangling)
