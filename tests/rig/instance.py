"""A connector that is started, ended and started again, with its exits noted."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from processor.local.process import Process
from processor.local.programs import ConnectorProcess
from tests.rig import readback
from tests.rig.history import Exit, History, Started


class Instance:
    """A connector that is started, ended and started again; each life has a name of its own."""

    def __init__(
        self, name: str, directory: Path, settings: Mapping[str, Any], history: History
    ) -> None:
        self.name = name
        self.program = ConnectorProcess(directory, settings)
        self._history = history
        self._lives: list[tuple[str, int]] = []
        self._process: Process | None = None
        self._ending: tuple[str, float] | None = None

    @property
    def life(self) -> str:
        """The name of its present, or last, life."""
        return self._lives[-1][0] if self._lives else f"{self.name}.0"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def launch(self, tasks: int) -> None:
        """Start it, if it does not run, and return at once."""
        self.watch()
        if self.running:
            return
        log = self.program.log
        life = f"{self.name}.{len(self._lives) + 1}"
        self._lives.append((life, log.stat().st_size if log.exists() else 0))
        self._history.add(Started(instance=life, at_ms=now_ms(), tasks=tasks))
        self._process, self._ending = self.program.launch(), None

    def signal(self, number: signal.Signals, how: str) -> None:
        """Send a signal to its main process, and note what its exit comes from."""
        if self._process is not None and self.running:
            self._ending = self._ending or (how, now_ms())
            self._process.signal(number)

    def freeze(self, *, on: bool) -> None:
        """Stop every process of it where it is, or let them go on."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def watch(self) -> None:
        """Note that it has ended, if it has."""
        if self._process is not None and not self._process.running:
            how, since_ms = self._ending or ("died", now_ms())
            status = self._process.exit_status
            self._history.add(
                Exit(
                    instance=self.life,
                    at_ms=now_ms(),
                    code=-255 if status is None else status,
                    how=how,
                    since_ms=since_ms,
                )
            )
            self._process = None

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended.

        Raises:
            TimeoutError: it still runs.
        """
        if self._process is not None:
            self._process.wait(timeout_s)
        self.watch()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Each life's name and log."""
        ends = [*(begin for _, begin in self._lives[1:]), None]
        for (life, begin), end in zip(self._lives, ends, strict=False):
            yield life, readback.tail(self.program.log, begin, end)


def now_ms() -> float:
    """The time now, in Unix milliseconds."""
    return time.time() * 1000
