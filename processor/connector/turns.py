"""Work that takes turns with everything else on the loop; a defect in it ends the machine."""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable

PATIENCE_TURNS = 64
"""Turns of a loop that always has something to do, after which what waits for an idle one is called
all the same: a turn is mostly one step of a request, of 20 us."""


class IdleLoop(asyncio.SelectorEventLoop):
    """An event loop that knows when it has nothing to do.

    asyncio gives every callback the same turn. A request is some twenty steps of a turn each, from
    the answer that lets the next message of a key go to that message's last byte on the wire; with
    2 ms of decoding in each turn between, they took 20 to 25 ms more than now (benchmarks.md).
    """

    def __init__(self) -> None:
        self._waiting = _BeforeWaiting(self.call_soon)
        super().__init__(self._waiting)

    def call_when_idle(self, call: Callable[[], None]) -> None:
        """Call this once when nothing else is ready, or after :data:`PATIENCE_TURNS`.

        Like ``call_soon`` it must be called on the loop.
        """
        self._waiting.calls.append(call)


class _BeforeWaiting(selectors.DefaultSelector):
    """A selector that has one of its calls made where the loop would wait."""

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        super().__init__()
        self.calls: deque[Callable[[], None]] = deque()
        self._soon = soon
        self._passed_over = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.calls:
            return super().select(timeout)
        events = super().select(0)
        # The loop gives no time when it has calls that are ready, or a timer that is due.
        busy = bool(events) or (timeout is not None and timeout <= 0)
        if busy and self._passed_over < PATIENCE_TURNS:
            self._passed_over += 1
        else:
            self._passed_over = 0
            self._soon(self.calls.popleft())
        return events


class Turns:
    """Calls back when the loop has looked at everything else; must be made on the loop.

    On an :class:`IdleLoop` that is when it has nothing else to do, on any other in its next turn.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()

    def later(self, call: Callable[[], None]) -> None:
        """Have this called when everything else has had its turn."""
        if isinstance(self._loop, IdleLoop):
            self._loop.call_when_idle(lambda: self._call(call))
        else:
            self._loop.call_soon(self._call, call)

    async def run(self) -> None:
        """Wait until cancelled.

        Raises:
            Exception: what a call raised.
        """
        await self._broken

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a defect must reach the machine, not a log
            if not self._broken.done():
                self._broken.set_exception(error)
