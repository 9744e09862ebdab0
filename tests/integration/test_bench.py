import json
import subprocess
import sys
from pathlib import Path

from processor.local.programs import clean_environment

ROOT = Path(__file__).parents[2]


def test_a_small_benchmark_counts_every_record_once(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    size = ["--records", "4000", "--latencies", "5", "--paced-rate", "200", "--paced-s", "1"]
    command = [sys.executable, "-m", "tests.bench.run", *size, "--json", str(figures)]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(),
        check=False,
        timeout=200,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    assert [(run["program"], run["again"], run["elsewhere"]) for run in found["runs"]] == [
        ("floor", 0, 0),
        ("connector", 0, 0),
    ]
    assert all(run["records_per_s"] > 0 for run in found["runs"])
    assert [delay["messages"] for delay in found["delays"]] == [200, 200]
    assert found["sink_messages_per_s"] > 0
