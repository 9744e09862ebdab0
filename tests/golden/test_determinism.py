"""The same event gives the same bytes in every process, whatever its host is set to."""

import contextlib
import subprocess
import sys
from pathlib import Path

from processor.local.programs import clean_environment

ROOT = Path(__file__).parents[2]
HOSTS = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kolkata", "LANG": "C", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/Lima", "LANG": "POSIX", "LC_ALL": "POSIX"},
)


def test_every_example_gives_the_same_bytes_in_every_process() -> None:
    with contextlib.ExitStack() as held:
        running = []
        for host in HOSTS:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.golden.printed"],
                cwd=ROOT,
                env=clean_environment() | host,
                stdout=subprocess.PIPE,
            )
            running.append(held.enter_context(process))
            held.callback(process.kill)
        said = [process.communicate(timeout=240)[0] for process in running]

    assert [process.returncode for process in running] == [0, 0, 0]
    assert said[0].splitlines() == said[1].splitlines() == said[2].splitlines()
    assert b" fails " not in said[0]
    assert said[0].count(b"without ids") * 2 == len(said[0].splitlines()) >= 20
