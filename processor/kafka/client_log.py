"""What librdkafka logs: never louder than it is, and the same thing once a minute."""

import logging
import math
import re
import threading
import time
from collections.abc import Callable

EVERY_S = 60.0
KEPT = 256
"""Different lines that are remembered; more than brokers times clients times causes."""

_PASSING = re.compile(
    r" \(after \d+ms in state [A-Z_0-9]+(?:, \d+ identical error\(s\) suppressed)?\)"
)


class Sparing(logging.Filter):
    """Lets a line of a client through once a minute, and says how often it came meanwhile.

    While a broker is away, librdkafka logs each try of each connection as an error: ten lines a
    second. It goes on by itself; what a person has to mend, the connector says in its own words.
    So errors become warnings, and a line that differs only in times is repeated once a minute.
    Lines below WARNING come only when ``debug`` is set, and are left as they are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; its level may be lowered, and a count added."""
        if record.levelno < logging.WARNING:
            return True
        _lower(record)
        text = record.getMessage()
        with self._lock:  # each client logs on a thread of its own
            left_out = self._left_out(_PASSING.sub("", text))
        if left_out is None:
            return False
        if left_out:
            record.msg, record.args = f"{text} ({left_out} times more in between)", ()
        return record.levelno >= logging.getLogger(record.name).getEffectiveLevel()

    def _left_out(self, what: str) -> int | None:
        """How often this was left out since it was said; `None`: it is left out now, too."""
        now_s = self._clock()
        at_s, left_out = self._told.pop(what, (-math.inf, 0))
        if now_s - at_s < EVERY_S:
            self._told[what] = at_s, left_out + 1
            return None
        while len(self._told) >= KEPT:
            del self._told[next(iter(self._told))]
        self._told[what] = now_s, 0  # the latest stand last
        return left_out


def _lower(record: logging.LogRecord) -> None:
    level = logging.ERROR if record.levelno > logging.ERROR else logging.WARNING
    record.levelno, record.levelname = level, logging.getLevelName(level)


CLIENT_LOG = logging.getLogger("processor.kafka.librdkafka")
CLIENT_LOG.addFilter(Sparing())
