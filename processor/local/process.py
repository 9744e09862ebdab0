"""Child programs that log to a file, are watched until ready, and never outlive their parent."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from processor.errors import Misconfigured
from processor.local import guard

POLL_S = 0.05
TAIL_BYTES = 4_000


class Process:
    """A running child program, leader of a process group of its own.

    The kernel kills it when the *thread* that started it ends (prctl(2)), so start it from a
    thread that lives as long as it should: usually the main one.

    Attributes:
        name: what messages call it.
        log: file that holds its standard output and error, appended to at each start.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """Start the program.

        Args:
            name: what messages call it.
            command: program and arguments.
            log: file that its output is appended to.
            environment: the whole environment; `None`: this program's own.
            directory: working directory; `None`: this program's own.

        Raises:
            Misconfigured: the program is not there.
        """
        self.name = name
        self.log = log
        guarded = [sys.executable, "-I", "-S", str(guard.__file__), str(os.getpid()), *command]
        with log.open("ab") as output:
            try:
                self._child = subprocess.Popen(
                    guarded,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if environment is None else dict(environment),
                    cwd=directory,
                    start_new_session=True,
                )
            except OSError as error:
                raise Misconfigured(f"{name} did not start: {error.strerror}.") from error

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet; a stopped one is running."""
        return self._child.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Its exit status, minus the signal's number when one ended it; `None` while it runs."""
        return self._child.poll()

    def output(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Wait until it is ready.

        Args:
            ready: asked again and again until it says so.
            timeout_s: how long to wait.
            what: ends the sentence "… did not …", such as "answer on port 9092".

        Raises:
            Misconfigured: it ended, or the time passed; the message holds the end of its log.
        """
        deadline_s = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                self._give_up(f"ended with status {self.exit_status} before it did {what}")
            if time.monotonic() > deadline_s:
                self._give_up(f"did not {what} within {timeout_s:g} s")
            time.sleep(POLL_S)

    def wait_for_line(self, text: str, *, timeout_s: float) -> None:
        """Wait until its log holds a text.

        Raises:
            Misconfigured: as :meth:`wait_until`.
        """
        self.wait_until(lambda: text in self.output(), timeout_s=timeout_s, what=f"write {text!r}")

    def wait(self, timeout_s: float) -> int:
        """Wait until it ends and give its exit status.

        Raises:
            TimeoutError: it is still running.
        """
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} still runs after {timeout_s:g} s") from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone; nothing happens when it has ended."""
        self._child.send_signal(number)

    def suspend(self) -> None:
        """Stop it where it is, sockets open (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def terminate(self, timeout_s: float = 30.0) -> int:
        """Ask it to end (SIGTERM) and give its exit status.

        Raises:
            TimeoutError: it is still running.
        """
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> int:
        """End it at once (SIGKILL) and give its exit status."""
        self.signal(signal.SIGKILL)
        return self._child.wait()

    def close(self) -> None:
        """End it and every process of its group at once; harmless when they have ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()

    def _give_up(self, why: str) -> None:
        self.close()
        tail = self.output()[-TAIL_BYTES:].strip()
        raise Misconfigured(f"{self.name} {why}. The end of {self.log}:\n{tail}")
