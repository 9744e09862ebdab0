"""docs/codes.md, made of what the commands say: ``python -m tests.codes_page`` writes it anew."""

from collections.abc import Iterator
from pathlib import Path

from processor.connector.mends import CODES, REASONS

PAGE = Path(__file__).parents[1] / "docs" / "codes.md"

HEAD = """\
# Codes

<!-- Made by `python -m tests.codes_page` from processor/connector/mends.py; not edited by hand. -->

A code says why a record became a dead letter: `<step>.<what>`. It is the header `processor.code`,
a label of `processor_records_dead_lettered_total`, and part of the fingerprint; never a value of a
record. `processor dlq stats` says the same mends beside the counts. The stage is Kafka Connect's
(`__connect.errors.stage`).

| code | stage | what it means | what to do |
| --- | --- | --- | --- |
"""

BETWEEN = """
What to do with the letters afterwards: [dead-letters-and-replay.md](dead-letters-and-replay.md).
When most records fail alike, the connector holds instead:
[operate.md](operate.md#when-records-fail-alike).

## Filtered

A record that is left out on purpose is no dead letter. It is counted in
`processor_records_filtered_total` by `reason`:

| reason | why |
| --- | --- |
"""


def page() -> str:
    """The page as it has to be."""
    return f"{HEAD}{''.join(_codes())}{BETWEEN}{''.join(_reasons())}"


def _codes() -> Iterator[str]:
    for code, about in CODES.items():
        yield f"| `{code}` | `{code.stage}` | {about.meaning} | {about.mend} |\n"


def _reasons() -> Iterator[str]:
    for reason, why in REASONS.items():
        yield f"| `{reason}` | {why} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
