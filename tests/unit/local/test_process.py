import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.local.process import Process


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it may end between the look for the file and the look into it
        return False


def test_a_child_dies_with_its_parent(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    program = textwrap.dedent(
        f"""
        import signal
        from pathlib import Path
        from processor.local.process import Process
        child = Process("sleeper", ["sleep", "600"], log=Path({str(tmp_path / "log")!r}))
        print(child.pid, flush=True)
        signal.pause()
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)

        parent.kill()

    eventually(lambda: not is_alive(pid))


def test_a_child_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    from processor.local import guard

    nobody = 2**22 + 1
    command = [sys.executable, guard.__file__, str(nobody), "touch", str(tmp_path / "ran")]

    done = subprocess.run(command, check=False)

    assert done.returncode == 1
    assert not (tmp_path / "ran").exists()


def test_waiting_ends_with_the_log_when_the_child_ends(tmp_path: Path) -> None:
    child = Process("failing", ["sh", "-c", "echo no luck; exit 3"], log=tmp_path / "log")

    with pytest.raises(Misconfigured, match=r"(?s)failing ended with status 3.*no luck"):
        child.wait_for_line("ready", timeout_s=60)


def test_waiting_ends_when_its_time_is_over(tmp_path: Path) -> None:
    child = Process("slow", ["sleep", "600"], log=tmp_path / "log")

    with pytest.raises(Misconfigured, match=r"slow did not write 'ready' within 0\.2 s"):
        child.wait_for_line("ready", timeout_s=0.2)

    assert not child.running


def test_a_program_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    child = Process("nothing", ["/no/such/program"], log=tmp_path / "log")

    with pytest.raises(Misconfigured, match="nothing ended"):
        child.wait_for_line("ready", timeout_s=60)


def test_closing_ends_the_children_of_the_child_too(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    child = Process("parent", ["sh", "-c", "sleep 600 & echo $!; wait"], log=tmp_path / "log")
    child.wait_until(lambda: child.output().endswith("\n"), timeout_s=60, what="name its child")
    grandchild = int(child.output())

    child.close()

    eventually(lambda: not is_alive(grandchild))


def test_a_suspended_child_still_runs_and_can_be_ended(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    child = Process("sleeper", ["sleep", "600"], log=tmp_path / "log")
    child.suspend()
    eventually(lambda: ") T " in Path(f"/proc/{child.pid}/stat").read_text())

    assert child.running
    child.resume()

    assert child.terminate() == -signal.SIGTERM
