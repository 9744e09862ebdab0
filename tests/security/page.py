"""docs/security.md: ``python -m tests.security.page > docs/security.md``."""

import sys
from pathlib import Path

from tests.named import shown
from tests.security import inside, outside
from tests.security.rights import table
from tests.security.row import Row

HEAD = (Path(__file__).parent / "words.md").read_text(encoding="utf-8")
RIGHTS_HERE = "<!-- rights -->\n"
CHECKLIST = """\
## Checklist

Each rule, and the tests that hold it. A test fails when a row names one that is not there.

| row | rule | held by |
| --- | --- | --- |
"""
ROWS: tuple[Row, ...] = inside.ROWS + outside.ROWS


def page() -> str:
    """The whole page."""
    return HEAD.replace(RIGHTS_HERE, table()) + "\n" + CHECKLIST + "".join(map(_line, ROWS))


def _line(row: Row) -> str:
    said = [*shown(row.held_by), *([row.reason] if row.reason else [])]
    cells = (row.number, row.rule, "<br>".join(said))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
