"""Files of customer data."""

import os
from pathlib import Path

import pytest

from processor.errors import Misconfigured
from processor.operations.private_file import private_file


def write_half(path: Path, *, force: bool) -> None:
    with private_file(path, force=force) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def write_while_another_does(path: Path) -> None:
    with private_file(path, force=False) as file:
        file.write(b"ours")
        path.write_text("theirs")


def test_it_is_the_owner_s_alone_and_there_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    before = os.umask(0)
    try:
        with private_file(path, force=False) as file:
            file.write(b"whole")
            assert not path.exists()
            (part,) = tmp_path.iterdir()
            assert part.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)

    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("before")

    for path, force in ((tmp_path / "new", False), (old, True)):
        with pytest.raises(KeyboardInterrupt):
            write_half(path, force=force)

    assert list(tmp_path.iterdir()) == [old]
    assert old.read_text() == "before"


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    path, target = tmp_path / "f", tmp_path / "target"
    target.write_text("not ours")
    path.symlink_to(target)

    with pytest.raises(Misconfigured, match="is there already"), private_file(path, force=False):
        pytest.fail("it was opened")
    with private_file(path, force=True) as file:
        file.write(b"new")

    assert path.read_bytes() == b"new"
    assert target.read_text() == "not ours"


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "f"

    with pytest.raises(Misconfigured, match="is there already"):
        write_while_another_does(path)

    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing/f", "folder", "pipe"])
def test_what_cannot_be_a_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    with (
        pytest.raises(Misconfigured, match=r"cannot be written|no regular file"),
        private_file(tmp_path / name, force=True),
    ):
        pytest.fail("it was opened")
