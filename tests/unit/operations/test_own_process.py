"""Who runs a command, and whether that process has ended."""

import os
import signal

import pytest

from processor.operations.own_process import is_gone, this_process, user_at_host


def test_we_are_not_gone_and_who_came_before_us_with_our_id_is() -> None:
    ours = this_process()

    assert not is_gone(ours)
    assert is_gone(f"{ours}1")


@pytest.mark.parametrize(
    "process", ["", "x", "boot 1 2 3", f"other-boot 4026531836 {os.getpid()} 7"]
)
def test_of_others_nobody_knows(process: str) -> None:
    assert not is_gone(process)


def test_one_that_was_killed_is_gone_before_its_parent_asks() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, this_process().encode())
        signal.pause()
    process = os.read(reading, 1_000).decode()
    assert not is_gone(process)

    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    assert is_gone(process)
    os.waitpid(child, 0)


def test_who_it_is() -> None:
    user, _, host = user_at_host().partition("@")
    assert user
    assert host
