import json
import subprocess
import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest

from processor.local.programs import clean_environment

ROOT = Path(__file__).parents[2]


def bench(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Run it, and give the figures that it wrote."""
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.run", *arguments, "--json", str(figures)],
        cwd=ROOT,
        env=clean_environment(),
        check=False,
        timeout=200,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(figures.read_text())
    return found


def test_a_small_benchmark_counts_every_record_once(tmp_path: Path) -> None:
    size = ["--records", "4000", "--latencies", "5", "--paced-rate", "200", "--paced-s", "1"]

    found = bench(tmp_path, *size)

    assert [(run["program"], run["again"], run["elsewhere"]) for run in found["runs"]] == [
        ("floor", 0, 0),
        ("connector", 0, 0),
    ]
    assert all(run["records_per_s"] > 0 for run in found["runs"])
    assert [delay["messages"] for delay in found["delays"]] == [200, 200]
    assert found["sink_messages_per_s"] > 0


@pytest.mark.parametrize(("customers", "most"), [("in-turn", {5}), ("drawn", range(10, 30))])
def test_a_small_benchmark_of_order_sees_every_message_and_none_late(
    customers: str, most: Container[int], tmp_path: Path
) -> None:
    found = bench(tmp_path, "--ordering", "--records", "5000", "--customers", customers)

    assert found["busiest_customer_records"] in most
    assert [(run["ordering"], run["messages"]) for run in found["runs"]] == [
        ("key", 5000),
        ("none", 5000),
    ]
    assert found["runs"][0]["late"] == 0
    assert found["runs"][0]["keys"] > 900
    assert found["ratio"] > 0


def test_a_small_benchmark_of_dead_letters_finds_every_one(tmp_path: Path) -> None:
    found = bench(tmp_path, "--letters", "20000")

    lines = {run["name"]: run["lines"] for run in found["runs"]}
    assert lines == {
        "the start of the process": 1,
        "first page": 50,
        "a page in the middle": 50,
        "one letter": 1,
        "stats": found["kinds"],
        "stats of one code": 1,
        "topics": 1,
        "all of one code": 2,
        "all of one customer, --where": found["of_one_customer"],
        "export of everything, raw": 20_000,
    }
    assert all(run["peak_mb"] > 0 and run["cpu_s"] > 0 for run in found["runs"])
