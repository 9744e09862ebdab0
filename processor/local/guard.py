"""Runs a command that the kernel kills when the program that asked for it is gone.

Run as a file of its own (``python -I -S guard.py PARENT COMMAND…``): code between fork and exec in
a program with threads, and librdkafka has many, can hang.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""``<sys/prctl.h>``; kept across exec, see prctl(2)."""


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the command.

    Args:
        arguments: the parent's process id, then the command.
    """
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        # The parent may have ended before the line above: then nobody would end us.
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - our parent chose it, and no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
