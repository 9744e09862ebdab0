"""A program that serves on loopback: started, killed, frozen, started again."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from processor.errors import Misconfigured
from processor.local.process import Process

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0


class Server(ABC):
    """A server on loopback; its files outlive its process, so it can be started again.

    Attributes:
        log: file that holds the output of all its runs.
    """

    name: str
    log: Path
    _process: Process | None = None

    @abstractmethod
    def _launch(self) -> Process:
        """Start the program."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves requests."""

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            Misconfigured: it is not running.
        """
        return self._running().pid

    def start(self) -> None:
        """Start it, again after a stop or a kill on the same port, and wait until it answers.

        Raises:
            Misconfigured: it ended or did not answer in time; the message holds the end of its log.
        """
        if self.running:
            return
        self._process = self._launch()
        self._process.wait_until(self._answers, timeout_s=START_TIMEOUT_S, what="answer")

    def launch(self) -> Process:
        """Start it and return at once, whether or not it will come to answer."""
        self._process = self._launch()
        return self._process

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask it to end (SIGTERM), wait until it has, and give its exit status.

        Raises:
            Misconfigured: it was not running.
            TimeoutError: it still runs.
        """
        return self._running().terminate(timeout_s)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash does."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Stop it, then start it again."""
        if self.running:
            self.stop()
        self.start()

    def suspend(self) -> None:
        """Freeze it with its connections open (SIGSTOP)."""
        self._running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._running().signal(signal.SIGCONT)

    def close(self) -> None:
        """End it at once, for good; harmless when it has ended."""
        if self._process is not None:
            self._process.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _running(self) -> Process:
        if self._process is None or not self._process.running:
            raise Misconfigured(f"{self.name} is not running.")
        return self._process
