"""Who runs this command: the account and host, and the process so that others can tell its end."""

import os
import pwd
import socket
from pathlib import Path

PROC = Path("/proc")
ENDED = frozenset({"Z", "X", "x"})
"""States of a process that is no more than its exit status."""


def account() -> str:
    """The account, by the process's own id: variables of the environment can be set to anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def user_at_host() -> str:
    """Who does it, as resolutions and replays name them."""
    return f"{account()}@{socket.gethostname()}"


def this_process() -> str:
    """Names this process among all: boot, namespace of process ids, id, start; empty: unknown."""
    pid = os.getpid()
    here, started = _here(), _started(pid)
    return f"{here} {pid} {started}" if here and started else ""


def is_gone(process: str) -> bool:
    """Whether a process has certainly ended; of one on another machine nobody here knows."""
    here, _, rest = process.rpartition(" ")[0].rpartition(" ")
    started = process.rpartition(" ")[2]
    if not here or here != _here() or not rest.isdecimal():
        return False
    return _started(int(rest)) != started


def _here() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; empty when it is no more."""
    try:
        # The name before it may hold anything, parentheses too.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if fields[0] in ENDED else fields[19]
