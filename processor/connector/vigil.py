"""Watches one life of a task by its last words: at which record it died, or stands still."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from processor.connector.last_words import Slate
from processor.connector.quarantine import CRASHES, Death
from processor.connector.task_process import EXIT_DEFECT
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

STANDSTILL_S = 60.0
"""No record that the limits of ``schemas/limits.py`` let pass takes so long. Kafka would wait for
ever: the consumer has a thread of its own and stays a member."""

LOOK_S = 1.0


class Vigil:
    """Watches the process of one task, from its start to its end.

    Args:
        pid: its process.
        heard_s: when it was heard of last; a beating heart is no standstill.
    """

    def __init__(self, slate: Slate, pid: int, heard_s: Callable[[], float]) -> None:
        self._slate = slate
        self._pid = pid
        self._heard_s = heard_s
        self._stood_s = 0.0

    async def keep(self) -> None:
        """End the process by SIGABRT when it is silent and at one record for a minute.

        One that is stopped from outside, by a SIGSTOP or a debugger, is left alone. Looks are
        counted, not the time between them: when we were frozen ourselves, with the whole container
        or machine, nobody stood still.
        """
        before = None
        while self._stood_s < STANDSTILL_S:
            await asyncio.sleep(LOOK_S)
            suspect, heard_s = self._slate.suspect, self._heard_s()
            stands = (
                suspect is not None and (suspect, heard_s) == before and not is_frozen(self._pid)
            )
            self._stood_s = self._stood_s + LOOK_S if stands else 0.0
            before = suspect, heard_s
        log.error("A task stands still at a record and is ended.", record=str(before and before[0]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGABRT)

    def death(self, status: int) -> Death | None:
        """What a process that ended so died of; `None` when it did not crash, or at no record."""
        suspect = self._slate.suspect
        if suspect is not None and status == EXIT_DEFECT:
            return Death(suspect, "a defect, of which the log tells")
        if suspect is None or -status not in CRASHES:
            return None
        name = signal.Signals(-status).name
        if self._stood_s >= STANDSTILL_S:
            return Death(suspect, f"{name}, after it had stood still for {self._stood_s:g} s")
        return Death(suspect, name)


def is_frozen(pid: int) -> bool:
    """Whether a process is stopped by a signal or a debugger (Linux; elsewhere never)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}
