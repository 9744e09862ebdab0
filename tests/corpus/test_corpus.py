"""Every row of the bad-input corpus gets its verdict, in processes with little time and memory."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from processor.local.programs import clean_environment
from tests.corpus import breakers
from tests.corpus.cases import BY_NAME, GENERATED, JUDGED, LATER, NUMBERS, PROVEN, ROWS
from tests.corpus.page import page

ROOT = Path(__file__).parents[2]
SECONDS_A_ROW = 30
CPU_S_A_ROW = 5.0
"""For one to ten hostile values, schemas compiled anew included; seen: 0.4."""

Found = Mapping[str, Any]
Judge = Callable[[Sequence[str], int], dict[str, Found]]


def judged(names: Sequence[str], seconds: int = SECONDS_A_ROW) -> dict[str, Found]:
    """What a child process says of rows; a row that ends the process is said so, the rest go on."""
    found: dict[str, Found] = {}
    left = list(names)
    while left:
        done = subprocess.run(
            [sys.executable, "-m", "tests.corpus.run", str(seconds)],
            input=json.dumps(left),
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        for line in done.stdout.splitlines():
            one = json.loads(line)
            found[one.pop("row")] = one
        left = [name for name in left if name not in found]
        if left:
            said = done.stderr[-2_000:]
            found[left.pop(0)] = {"wrong": f"the process ended with {done.returncode}: {said}"}
    return found


@pytest.fixture(scope="session")
def found() -> dict[str, Found]:
    """What became of all rows; the generated ones take about as long as the others."""
    halves = [[row.name for row in ROWS], [row.name for row in GENERATED]]
    with ThreadPoolExecutor(len(halves)) as pool:
        return {name: one for half in pool.map(judged, halves) for name, one in half.items()}


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_a_row_gets_its_verdict(name: str, found: dict[str, Found]) -> None:
    (row,) = (row for row in ROWS if row.name == name)

    outcome = found[name]

    assert not outcome["wrong"]
    assert outcome["verdicts"] == [str(row.verdict)]
    assert outcome["cpu_s"] < CPU_S_A_ROW


def test_an_event_that_is_cut_anywhere_is_truncated(found: dict[str, Found]) -> None:
    outcome = found["B12 cut at every byte"]

    counts = outcome["counts"]

    assert set(counts) == {"dead letter `decode.truncated`"}
    assert counts["dead letter `decode.truncated`"] > 1_000


def test_a_flipped_bit_never_stops_the_decoder(found: dict[str, Found]) -> None:
    outcome = found["B13 every bit of a realistic event flipped"]

    counts = outcome["counts"]

    # Avro does not notice most of them: why check.crcs is on.
    decoded = counts["deliver"] / sum(counts.values())
    assert sum(counts.values()) > 3_000
    assert 0.5 < decoded < 0.9
    assert not {"wait", "dead letter `decode.crash`"} & set(counts)


def test_random_bytes_are_never_delivered(found: dict[str, Found]) -> None:
    random_ones = found["B13a 20,000 random byte strings, framed and not"]["counts"]
    first_ones = found["B13a all first bytes, sizes 0 to 16"]["counts"]

    assert (sum(random_ones.values()), sum(first_ones.values())) == (20_000, 256 * 17)
    assert all(verdict.startswith("dead letter `decode.") for verdict in random_ones | first_ones)


def test_no_mutation_that_is_thought_of_stops_the_decoder(found: dict[str, Found]) -> None:
    name = "B13a flips, cuts, splices and lengths that Hypothesis thinks of"

    outcome = found[name]

    assert "wrong" not in outcome
    assert sum(outcome["counts"].values()) >= 1_000


def test_a_row_that_hangs_crashes_or_fills_the_memory_fails_alone() -> None:
    names = [row.name for row in breakers.ROWS]

    outcome = judged(names, seconds=10)

    assert "-14" in outcome["X1 hangs"]["wrong"]  # SIGALRM
    assert "-11" in outcome["X2 crashes"]["wrong"]  # SIGSEGV
    assert outcome["X3 takes 1 GB"]["wrong"] == "out of memory"
    assert outcome["X4 is fine"]["counts"] == {"fine": 1}


def test_every_row_of_the_corpus_is_tested_or_has_a_reason_why_not() -> None:
    covered = {row.number for row in ROWS} | {row.number for row in GENERATED}
    covered |= {row.number for row in PROVEN}
    named = {row.number for row in LATER}

    assert covered | named == NUMBERS
    assert all(later.reason for later in LATER)
    assert len(BY_NAME) == len(JUDGED), "a name is used twice"


@pytest.mark.parametrize("place", sorted({place for row in PROVEN for place in row.where}))
def test_the_test_that_a_row_names_exists(place: str) -> None:
    file, _, function = place.partition("::")

    assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_page_is_the_corpus() -> None:
    written = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")

    assert written == page(), "write it anew: python -m tests.corpus.page > docs/bad-input.md"
