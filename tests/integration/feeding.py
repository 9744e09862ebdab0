"""Load that does not end: records that keep coming while a test does what it does."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

A_SECOND = 150


class Load:
    """Records that keep coming, a few at a time, until it is ended."""

    def __init__(self, send: Callable[[Sequence[Any]], None], capillary: Any) -> None:
        self.count = 0
        self._send = send
        self._capillary = capillary
        self._expected: dict[str, set[str]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> dict[str, set[str]]:
        """Leave off; by target, the ``_id``s that should arrive."""
        self._ending.set()
        self._thread.join()
        return self._expected

    def _run(self) -> None:
        while not self._ending.wait(0.5):
            records, expected = self._capillary.records(A_SECOND // 2)
            self._send(records)
            self.count += len(records)
            for target, ids in expected.items():
                self._expected.setdefault(target, set()).update(ids)
