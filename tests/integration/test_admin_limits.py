"""F65: a crowd at the admin server. What is too much is refused, and records flow all the same."""

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.local.process import Process
from processor.local.programs import ConnectorProcess
from tests.bench.crowding import told_by

WAYS = {"200", "413", "429", "cut"}
"""What clients are answered, and that slow ones are cut off."""


@pytest.fixture
def running(
    connector_settings: Callable[..., dict[str, Any]],
    connector: Callable[..., ConnectorProcess],
    topic: str,
) -> ConnectorProcess:
    return connector(connector_settings(topic))


@pytest.fixture
def told(running: ConnectorProcess, tmp_path: Path) -> Iterator[Callable[[], set[str]]]:
    """``told()``: how a crowd was answered so far.

    Two hundred clients ask all the time and slow ones never finish; another process, so that it
    does not wait for those, sends far too much.
    """
    crowd = {
        "many": ("--every-s", "0.05", "--large", "0"),
        "large": ("--clients", "0", "--slow", "0"),
    }
    with contextlib.ExitStack() as gathered:
        processes = []
        for name, options in crowd.items():
            module = ("-m", "tests.bench.crowd", "--port", str(running.port))
            process = Process(
                name,
                [sys.executable, *module, *options],
                log=tmp_path / f"{name}.log",
                directory=Path(__file__).parents[2],
            )
            gathered.callback(process.close)
            processes.append(process)
        yield lambda: {way for process in processes for way in told_by(process)}


def test_records_flow_and_probes_are_answered_while_a_crowd_is_refused(
    told: Callable[[], set[str]],
    running: ConnectorProcess,
    capillary: Any,
    produce: Callable[..., None],
    topic: str,
    arrives: Callable[..., None],
    eventually: Callable[..., Any],
) -> None:
    eventually(lambda: not WAYS - told(), what="every answer is given")
    records, expected = capillary.records(200)
    produce(topic, records)

    arrives(expected)

    probes = Counter(
        httpx.get(f"{running.url}{path}", timeout=30, trust_env=False).status_code
        for path in ("/livez", "/readyz", "/health", "/metrics")
        for _ in range(5)
    )
    assert probes == {200: 20}
    assert told() == WAYS
    assert running.running


def test_a_body_that_does_not_come_and_one_that_is_too_large(
    running: ConnectorProcess, tmp_path: Path
) -> None:
    with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
        late = client.put("/connectors/x/pause", content=_late())
        large = client.put("/connectors/x/pause", content=(b"x" * 1_000_000 for _ in range(100)))
        again = client.get("/connectors")

    assert (late.status_code, late.json()["error_code"]) == (408, 408)
    assert (large.status_code, large.json()["error_code"]) == (413, 413)
    assert again.status_code == httpx.codes.OK


def _late() -> Iterator[bytes]:
    """A body that begins, and goes on when the server has had enough."""
    yield b"{"
    threading.Event().wait(16)
    yield b"}"
