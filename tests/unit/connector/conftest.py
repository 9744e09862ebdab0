"""Virtual time: a loop whose clock jumps to the next timer, so that nothing ever sleeps."""

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import pytest

from processor.record import Record

TURN_S = 1e-6
"""A turn of the loop takes some time, or a timer that is a rounding error early never comes."""


THREAD_S = 0.05


class StuckError(Exception):
    """Nothing is scheduled any more, and the test still waits."""


class _Jumping(selectors.SelectSelector):
    """Never waits: if nothing is ready, the time until the next timer has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise StuckError
            self.now_s += max(0.0, timeout)
        self.now_s += TURN_S
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Reads the jumping clock; what belongs on a thread is done at once and told a moment later.

    Attributes:
        most_threads: how many threads that took, at most.
    """

    def __init__(self) -> None:
        self._jumping = _Jumping()
        self._threads = self.most_threads = 0
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(  # type: ignore[override] # the stub's type variables say no more
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        future = self.create_future()
        self._threads += 1
        self.most_threads = max(self.most_threads, self._threads)

        def tell(result: Any, error: Exception | None) -> None:
            self._threads -= 1
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        try:
            self.call_later(THREAD_S, tell, func(*args), None)
        except Exception as error:  # noqa: BLE001 - goes where the executor's would go
            self.call_later(THREAD_S, tell, None, error)
        return future


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
