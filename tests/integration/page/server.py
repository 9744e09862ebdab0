"""The admin server over a worker that a file describes, as a program: pages with real data.

``python -m tests.integration.page.server SETTINGS WORKER``: the second is a JSON file that is read
at each look.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processor.admin.server import AdminServer
from processor.connector.heartbeat import Waiting
from processor.connector.status import ConnectorState, ConnectorStatus, TaskState, TaskStatus
from processor.settings import Settings, inline_secrets, load
from processor.telemetry import logs


class FileWorker:
    """A worker that is as its file says."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._file.read_text())
        return told

    def live(self) -> bool:
        return True

    def ready(self) -> tuple[bool, list[str]]:
        return True, []

    def metrics(self) -> bytes:
        return str(self._told()["metrics"]).encode()

    def status(self) -> ConnectorStatus:
        told = self._told()
        tasks = [
            TaskStatus(
                task["id"],
                TaskState(task["state"]),
                task["worker_id"],
                task.get("trace", ""),
                [Waiting(*waiting) for waiting in task.get("waiting", ())],
            )
            for task in told["tasks"]
        ]
        worker_id = told["tasks"][0]["worker_id"] if tasks else "127.0.0.1:8083"
        return ConnectorStatus(self._name, ConnectorState(told["state"]), worker_id, tasks)

    async def order(self, state: ConnectorState) -> None:
        raise NotImplementedError  # no page gives orders: a call is the test's failure

    async def restart(self, tasks: Sequence[int], *, only_failed: bool = False) -> None:
        raise NotImplementedError  # no page gives orders: a call is the test's failure

    async def log_at(self, level: int, logger: str, *, everywhere: bool = False) -> None:
        raise NotImplementedError  # no page gives orders: a call is the test's failure


async def serve(settings: Settings, file: Path) -> None:
    """Answer until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = AdminServer(settings, FileWorker(settings.name, file))
    await server.start()
    await ended.wait()
    await server.stop()


def main() -> None:
    config, worker = map(Path, sys.argv[1:])
    settings = load(config)
    logs.configure(settings.logging, secrets=inline_secrets(settings))
    asyncio.run(serve(settings, worker))


if __name__ == "__main__":
    main()
