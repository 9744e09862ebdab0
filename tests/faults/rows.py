"""The table of faults, docs/faults.md: ``python -m tests.faults.rows > docs/faults.md``."""

import sys

from tests.faults import outside, processes, replays, running
from tests.faults.row import Row
from tests.named import shown

HEAD = """\
# Faults

What may happen, what becomes of the records then, and the tests that show it. Made from
`tests/faults`; a test fails when a row is missing, when a test that it names is not there, or when
this page is another. *0/0/0* is lost, repeated, dead-lettered. A test with the real broker and the
simulator counts these by identity, from what was accepted and from the dead-letter topic. Faults
that come together are for `make chaos` and `make kills`: [tests.md](tests.md).

| row | fault | expected | shown by |
| --- | --- | --- | --- |
"""
ROWS: tuple[Row, ...] = processes.ROWS + outside.ROWS + replays.ROWS + running.ROWS


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_line(row) for row in ROWS)


def _line(row: Row) -> str:
    cells = (row.number, row.what, row.expected, _shown(row))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _shown(row: Row) -> str:
    said = [*shown(row.shown_by)]
    if row.reason:
        said.append(f"*not shown*: {row.reason}")
    return "<br>".join(said)


if __name__ == "__main__":
    sys.stdout.write(page())
