"""The processes of a connector, as the kernel shows them; one may end while it is looked at."""

import contextlib
from pathlib import Path


def children(pid: int) -> set[int]:
    """The processes below one, however deep."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                for child in map(int, (task / "children").read_text().split()):
                    found |= {child} | children(child)
    return found


def tasks(pid: int) -> set[int]:
    """The connector's task processes; the interpreter's resource tracker is none."""
    return {child for child in children(pid) if b"spawn_main" in command_line(child)}


def command_line(pid: int) -> bytes:
    """A process's command and arguments; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
