"""What a row of the table of faults is."""

from typing import NamedTuple


class Row(NamedTuple):
    """One fault.

    Attributes:
        number: its own, such as ``F12``.
        what: the fault, in words.
        expected: what becomes of records: lost, repeated, dead-lettered, and what else is promised.
        shown_by: tests, ``tests/….py::test_…``; each shows the row or a part of it.
        reason: why no test shows it, or what of it none does.
    """

    number: str
    what: str
    expected: str
    shown_by: tuple[str, ...] = ()
    reason: str = ""
