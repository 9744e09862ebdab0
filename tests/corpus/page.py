"""The page of the corpus, docs/bad-input.md: ``python -m tests.corpus.page`` writes it."""

import re
import sys

from tests.corpus.cases import GENERATED, LATER, PROVEN, ROWS
from tests.corpus.rows import Row

HEAD = """\
# Bad input

What becomes of a record that is broken, hostile or just odd. Made from the tests (`tests/corpus`),
which carry each row through the connector's own decoder, mapping, enrichment and gate, in a process
with little time and memory; what needs a broker goes through a running connector
(`tests/integration/test_bad_input_corpus.py`). `make test ARGS=tests/corpus` runs the first.

*deliver*: it is sent. *dead letter*: it goes to the dead-letter topic under this code, and its
neighbours go on. *refuse schema*: the writer's schema could hang or kill a decoder, so nothing that
it wrote is read; a dead letter too. *wait*: its partition is held until the moment or the set-up is
mended. *filter*: left out on purpose and counted.

| row | what | verdict |
| --- | --- | --- |
"""
LATER_HEAD = """
## Not here yet

| row | what | why |
| --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    rows = [(row.number, row.what, _verdict(row)) for row in ROWS]
    rows += [(row.number, row.what, row.verdict) for row in GENERATED]
    rows += [(row.number, row.what, row.verdict) for row in PROVEN]
    later = [(row.number, row.what, row.reason) for row in LATER]
    return HEAD + _lines(rows) + LATER_HEAD + _lines(later)


def _verdict(row: Row) -> str:
    return f"{row.verdict}: {row.reason}" if row.reason else f"{row.verdict}"


def _lines(rows: list[tuple[str, str, str]]) -> str:
    ordered = sorted(rows, key=lambda row: _place(row[0]))
    cells = ([cell.replace("|", "\\|") for cell in row] for row in ordered)
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _place(number: str) -> tuple[int, str]:
    found = re.fullmatch(r"B([0-9]+)([a-z]*)", number)
    if found is None:
        raise AssertionError(number)
    return int(found[1]), found[2]


if __name__ == "__main__":
    sys.stdout.write(page())
