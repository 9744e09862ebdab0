"""Free loopback ports."""

import random
import socket
from collections import deque
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST = 15_000
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
ATTEMPTS = 200

_given: deque[int] = deque(maxlen=50)
"""The last ones, so that what is set up before anything listens does not get one port twice."""


def free_port() -> int:
    """A loopback TCP port that nothing listens on; another one than the last times.

    It lies below the kernel's range for outgoing connections, so that none of them can take it
    before a server does, or while a server that should come back on it is down.

    Raises:
        OSError: none was found.
    """
    highest = _first_outgoing_port() - 1
    for _ in range(ATTEMPTS):
        port = random.randint(LOWEST, highest)
        if port not in _given and is_free(port):
            _given.append(port)
            return port
    raise OSError(f"no free port between {LOWEST} and {highest} on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_listening(port: int) -> bool:
    """Whether a server accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _first_outgoing_port() -> int:
    try:
        first = int(RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError):
        return 32_768
    return first if first > LOWEST + ATTEMPTS else 32_768
