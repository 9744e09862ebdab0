"""Work that takes turns with everything else on the loop; a defect in it ends the machine."""

import asyncio
from collections.abc import Callable


class Turns:
    """Calls back when the loop has looked at everything else; must be made on the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()

    def later(self, call: Callable[[], None]) -> None:
        """Have this called in the loop's next turn."""
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
