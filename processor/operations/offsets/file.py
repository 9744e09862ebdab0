"""Offsets as CSV: what an undo file holds and ``--from-file`` takes (pure but for the file).

One line a partition, ``topic,partition,offset``, as ``kafka-consumer-groups`` writes and reads it.
A partition for which nothing was committed has the word ``none`` in place of the offset; that tool
does not know it.
"""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from processor.errors import Misconfigured, ProcessorError
from processor.operations.bounds import LARGEST_PARTITION, offset, whole_number
from processor.record import TopicPartition
from processor.settings.masking import printable
from processor.settings.topics import is_topic_name

NONE = "none"
COLUMNS = ("topic", "partition", "offset")
LARGEST_FILE_BYTES = 64 * 1024 * 1024
SHOWN_CHARACTERS = 60

Wanted = Mapping[TopicPartition, int | None]
"""By partition, the offset; `None`: none shall be committed."""


def csv_of(offsets: Wanted) -> str:
    """The lines, one a partition."""
    return "".join(
        f"{partition.topic},{partition.partition},{NONE if at is None else at}\n"
        for partition, at in offsets.items()
    )


def read_csv(text: str, *, source: str) -> dict[TopicPartition, int | None]:
    """Read lines as :func:`csv_of` and Kafka's tool write them; a line of headings may come first.

    Args:
        text: the lines.
        source: names the file in what is raised.

    Raises:
        Misconfigured: a line is malformed, a partition stands there twice, or nothing does.
    """
    found: dict[TopicPartition, int | None] = {}
    try:
        rows = list(csv.reader(io.StringIO(text), skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise Misconfigured(f"{source} is no CSV file: {error}.") from None
    for number, row in enumerate(rows, start=1):
        cells = tuple(cell.strip() for cell in row)
        if not any(cells) or (number == 1 and tuple(map(str.lower, cells)) == COLUMNS):
            continue
        where = f"{source}, line {number}: an offset file"
        if len(cells) != len(COLUMNS) or not is_topic_name(cells[0]):
            shown = printable(",".join(cells)[:SHOWN_CHARACTERS])
            raise Misconfigured(
                f"{source}, line {number} is not topic,partition,offset: «{shown}»."
            )
        partition = whole_number(where, cells[1], LARGEST_PARTITION, "a partition")
        place = TopicPartition(cells[0], partition)
        if place in found:
            raise Misconfigured(f"{source}, line {number}: {place} stands there twice.")
        found[place] = None if cells[2].lower() == NONE else offset(where, cells[2])
    if not found:
        raise Misconfigured(f"{source} holds no line topic,partition,offset.")
    return found


def read_file(path: Path) -> dict[TopicPartition, int | None]:
    """Read an offset file.

    Raises:
        Misconfigured: it cannot be read, or a line is malformed.
    """
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise Misconfigured(f"--from-file {path} is larger than an offset file can be.")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"--from-file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise Misconfigured(f"--from-file {path} is not UTF-8 text.") from None
    return read_csv(text, source=str(path))


def may_be_written(path: Path) -> None:
    """Check, before anything is done, that an undo file can be made here.

    Raises:
        Misconfigured: there is a file of that name already, or no directory for it.
    """
    if path.exists() or path.is_symlink():
        raise Misconfigured(f"--undo {path} exists already.", mend="Name a new file.")
    if not path.parent.is_dir():
        raise Misconfigured(f"--undo {path}: {path.parent} is not a directory.")


def write_new(path: Path, text: str) -> None:
    """Write a file that nobody else may read and that was not there; on disk when this returns.

    Raises:
        ProcessorError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ProcessorError(
            f"The undo file {path} could not be written, so nothing was changed: {error.strerror}."
        ) from error
