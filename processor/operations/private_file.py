"""Writes a file of customer data: only its owner may read it, and it is whole or not there."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from processor.errors import Misconfigured
from processor.settings.masking import printable


@contextmanager
def private_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A new file with mode 0600 that takes its name when it is whole; until then it has another.

    Args:
        path: where it will be.
        force: replace a file that is there.

    Raises:
        Misconfigured: a file is there and `force` is not given, or it cannot be written. When the
            block raises, nothing is left behind.
    """
    shown = printable(str(path))
    _check(path, shown, force=force)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except OSError as error:
        raise _wrong(shown, error) from error
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            _finish(file, shown)
        _rename(part, path, shown, force=force)
    finally:
        part.unlink(missing_ok=True)


def _check(path: Path, shown: str, *, force: bool) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _wrong(shown, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise Misconfigured(f"{shown} is no regular file.", mend="Give - for stdout.")
    if not force:
        raise _exists(shown)


def _finish(file: BinaryIO, shown: str) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise _wrong(shown, error) from error


def _rename(part: Path, path: Path, shown: str, *, force: bool) -> None:
    try:
        if force:
            part.replace(path)
        else:
            path.hardlink_to(part)  # fails where the name was taken meanwhile
    except FileExistsError as error:
        raise _exists(shown) from error
    except OSError as error:
        raise _wrong(shown, error) from error


def _exists(shown: str) -> Misconfigured:
    return Misconfigured(f"{shown} is there already.", mend="Add --force to replace it.")


def _wrong(shown: str, error: OSError) -> Misconfigured:
    return Misconfigured(f"{shown} cannot be written: {error.strerror}.")
