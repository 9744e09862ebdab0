"""As in a container without rights: no capability, nothing to write but a small /tmp (F67, S40)."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processor.local.process import Process
from processor.local.programs import ConnectorProcess, processor_command, toml
from tests.integration.process_tree import children

CONFINE = """
set -e
mount -t tmpfs -o size=16m,mode=1777,noexec,nosuid,nodev tmpfs "$TMPDIR"
while read -r _ where kind _; do
    case $kind in proc | sysfs | devpts | mqueue | devtmpfs | cgroup*) continue ;; esac
    case $where in "$TMPDIR" | /dev | /dev/*) continue ;; esac
    mount -o remount,bind,ro "$where"
done < /proc/mounts
for where in "$HERE" /etc /var/tmp; do
    if touch "$where/a-probe" 2> /dev/null; then
        echo "$where can be written to."
        exit 99
    fi
done
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
"""
"""What a container's flags do: a read-only root, its own /tmp, all capabilities dropped."""


def may_confine() -> bool:
    """Whether this user may make a mount namespace: root may, unless a container forbids it."""
    tried = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "t", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


class Confined(ConnectorProcess):
    """The connector where it can write to nothing.

    Where this user may not confine it, nothing keeps it from writing, and `written_to` alone tells.
    """

    def _launch(self) -> Process:
        here = self.config.parent
        tmp = here / "tmp"
        tmp.mkdir(exist_ok=True)
        self.config.write_text(toml(self.settings))
        command = processor_command("run", "--config", str(self.config))
        if may_confine():
            confine = ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONFINE, "sh"]
            command = [*confine, *command]
        return Process(
            self.name,
            command,
            log=self.log,
            environment={
                **self.environment,
                "TMPDIR": str(tmp),
                "HERE": str(here),
                "HOME": "/nonexistent",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            directory=Path("/"),
        )


def confined(pid: int) -> bool:
    """Whether a process has neither capabilities nor a root that it can write to."""
    status = Path(f"/proc/{pid}/status").read_text()
    mounts = [line.split() for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()]
    roots = [options.split(",")[0] for _, where, _, options, *_ in mounts if where == "/"]
    capabilities = re.findall(r"^Cap(?:Eff|Prm|Bnd|Amb):\s+(\w+)$", status, re.MULTILINE)
    return roots == ["ro"] and set(capabilities) == {"0" * 16} and "NoNewPrivs:\t1" in status


def written_to(pid: int) -> set[str]:
    """The regular files that a process and its tasks hold open for writing."""
    found = set()
    for process in {pid, *children(pid)}:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            try:
                path = descriptor.readlink()
                told = Path(f"/proc/{process}/fdinfo/{descriptor.name}").read_text()
            except OSError:
                continue  # closed meanwhile
            (flags,) = re.findall(r"^flags:\s+(\d+)$", told, re.MULTILINE)
            if int(flags, 8) & (os.O_WRONLY | os.O_RDWR) and path.is_file():
                found.add(str(path))
    return found


def test_it_needs_no_capability_and_no_place_to_write_to(
    capillary: Any, topic: str, produce: Any, connector_settings: Any, arrives: Any,
    eventually: Callable[..., Any], tmp_path: Path,
) -> None:  # fmt: skip
    records, expected = capillary.records(300)
    garbage = [{"key": b"k", "value": b"\xff%d" % number} for number in range(20)]
    produce(topic, [*records, *garbage])
    running = Confined(tmp_path / "confined", connector_settings(topic))
    try:
        running.start()

        arrives(expected)
        eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
        eventually(lambda: running.metric("processor_records_dead_lettered_total") == len(garbage))
        assert not may_confine() or confined(running.pid)
        kept = {str(running.log), *(str(path) for path in Path("/dev/shm").iterdir())}
        assert written_to(running.pid) <= kept
        assert running.stop() == 0, running.log.read_text()
    finally:
        running.close()
    assert {path.name for path in running.config.parent.iterdir()} == {
        "connector.log",
        "processor.toml",
        "tmp",
    }
