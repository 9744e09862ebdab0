"""What the tests of this wing share: virtual time, records, and draws that repeat."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import pytest

from processor.record import Record
from tests.virtual_time import VirtualLoop


class Run(Protocol):
    def __call__(self, scenario: Coroutine[Any, Any, Any]) -> Any: ...


@pytest.fixture(scope="session")
def run() -> Run:
    """``run(scenario())``: run a coroutine in virtual time; what it leaves behind is cancelled."""

    def in_virtual_time(scenario: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(scenario)

    return in_virtual_time


@pytest.fixture(scope="session")
def record() -> Callable[..., Record]:
    """``record(offset, key=…, partition=…)``: a record of the topic ``events``."""

    def make(offset: int, **named: Any) -> Record:
        fields: Mapping[str, Any] = {
            "topic": "events",
            "partition": 0,
            "timestamp_ms": 1_700_000_000_000 + offset,
            "value": b"value",
        } | named
        return Record(offset=offset, **fields)

    return make


@pytest.fixture(autouse=True)
def drawn_alike() -> None:
    """Back-off is drawn at random; here from the same seed each time, so that a run repeats."""
    random.seed(7)
