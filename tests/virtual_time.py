"""A loop whose clock jumps to the next timer, so that nothing ever sleeps."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

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
