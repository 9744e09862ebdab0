"""Calls that block, such as Kafka's, away from the event loop, and only so many at once."""

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from starlette.exceptions import HTTPException

from processor.admin.limits import RETRY_AFTER

T = TypeVar("T")

MOST = 4


class Blocking:
    """Threads for blocking calls."""

    def __init__(self, most: int = MOST) -> None:
        self._limiter = anyio.CapacityLimiter(most)
        self._most = most

    async def run(self, call: Callable[[], T]) -> T:
        """The result of a call, made on a thread; what it raises is raised here.

        Raises:
            HTTPException: 429, too many wait already.
        """
        if self._limiter.statistics().tasks_waiting >= self._most:
            raise HTTPException(429, "Kafka is being asked too much; try again.", RETRY_AFTER)
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)
