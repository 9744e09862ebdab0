"""An upgrade under load, and a step back: workers of two versions side by side lose nothing."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from processor.local.programs import clean_environment
from tests.integration.feeding import A_SECOND, Load

ROOT = Path(__file__).parents[2]

WITHOUT_WORKERS = ":/^The last commit waits until an older one that a broken connection left"
"""The last version whose workers neither told of themselves nor heard orders, by its message."""

SLOW = {"scope": "batch", "count": "until_reset", "latency_ms": 200}


def git(*arguments: str) -> bytes:
    """What git says of this checkout."""
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, (
        f"git {arguments[0]} failed: {done.stderr.decode().strip()}. The earlier version is taken "
        "from the history: run this in a clone that has it (git fetch --unshallow)."
    )
    return done.stdout


@pytest.fixture(params=[WITHOUT_WORKERS, "HEAD^"], ids=["without workers", "the last commit"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment in which ``processor`` is an earlier version of it."""
    folder = tmp_path / "earlier"
    archive = io.BytesIO(git("archive", request.param, "processor", "schemas"))
    with tarfile.open(fileobj=archive) as tar:
        tar.extractall(folder, filter="data")
    environment = {"PYTHONPATH": str(folder)}
    asked = [sys.executable, "-c", "import processor; print(processor.__file__)"]
    told = subprocess.run(
        asked, capture_output=True, check=True, text=True, cwd=tmp_path,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert told.stdout.startswith(str(folder))
    return environment


def test_a_step_forward_and_back_under_load_loses_nothing(
    earlier: dict[str, str], connector_settings: Any, topic: str, connector: Any, simulator: Any,
    arrives: Any, eventually: Any, balanced: Any, load: Load,
) -> None:  # fmt: skip
    simulator.faults([SLOW])
    settings = connector_settings(topic)
    settings["delivery"] |= {"batch_max_records": 20, "max_in_flight": 4}
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    workers = [connector(settings, **earlier) for _ in range(2)]
    eventually(lambda: len(simulator.received(bodies=False)) > A_SECOND)

    def step(environment: dict[str, str]) -> None:
        """Replace one worker after the other, each with records in flight."""
        for worker in workers:
            eventually(
                lambda: sum(w.metric("processor_records_in_flight") for w in workers) > 0,
                what="records in flight",
            )
            worker.stop(60)
            worker.environment = {**clean_environment(), **environment}
            worker.start()
        arrived = len(simulator.received(bodies=False))
        eventually(lambda: len(simulator.received(bodies=False)) > arrived + A_SECOND)

    step({})
    step(earlier)
    # And as a crash does it: the other version reads what this one had committed, and how far.
    for environment in ({}, earlier):
        workers[0].kill()
        workers[0].environment = {**clean_environment(), **environment}
        workers[0].start()

    simulator.faults_over()
    arrives(load.end(), once=False)
    for worker in workers:
        eventually(lambda w=worker: w.metric("processor_records_in_flight") == 0)
        assert balanced(worker)
        assert worker.metric("processor_records_dead_lettered_total") == 0
        assert "metadata of the committed offset is ignored" not in worker.log.read_text()
