"""What a row of the checklist is."""

from typing import NamedTuple


class Row(NamedTuple):
    """One rule.

    Attributes:
        number: its own, such as ``S12``.
        rule: what holds, in words.
        held_by: tests, ``tests/….py::test_…``; each fails when a part of the rule is taken away.
        reason: why no test holds it, or what of it is otherwise here.
    """

    number: str
    rule: str
    held_by: tuple[str, ...] = ()
    reason: str = ""
