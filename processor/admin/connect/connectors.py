"""``/connectors``: the one connector, its configuration, state and tasks, and orders to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import processor
from processor.admin.access import Need
from processor.admin.answers import answer, empty
from processor.admin.connect.configuration import TASK_CLASS, configuration_of
from processor.admin.routes import AdminRoute, Answer
from processor.connector.status import (
    ConnectorState,
    ConnectorStatus,
    TaskState,
    TaskStatus,
    Worker,
)
from processor.settings import Settings
from processor.telemetry.logs import redact

RESTARTING = "RESTARTING"
THE_FILE_RULES = (
    "The settings file rules: this connector is not created, changed or deleted over HTTP. Change "
    "the file, then start the connector again."
)


class Connectors:
    """Connect's resource of the same path, for the one connector.

    Args:
        worker: answers for the connector and is told what to do.
        settings: shown as its configuration.
    """

    def __init__(self, worker: Worker, settings: Settings) -> None:
        self._worker = worker
        self._name = settings.name
        self._configuration = configuration_of(settings)

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        one, look = "/connectors/{connector}", Need.LOOK
        return [
            AdminRoute("GET", "/connectors", look, self._list),
            AdminRoute("POST", "/connectors", look, self._file_rules),
            AdminRoute("GET", one, look, self._info),
            AdminRoute("DELETE", one, look, self._file_rules),
            AdminRoute("GET", f"{one}/config", look, self._config),
            AdminRoute("PUT", f"{one}/config", look, self._file_rules),
            AdminRoute("PATCH", f"{one}/config", look, self._file_rules),
            AdminRoute("GET", f"{one}/status", look, self._status),
            AdminRoute("GET", f"{one}/tasks", look, self._tasks),
            AdminRoute("GET", f"{one}/tasks/{{task}}/status", look, self._task_status),
            AdminRoute("PUT", f"{one}/pause", Need.STEER, self._order(ConnectorState.PAUSED, 202)),
            AdminRoute(
                "PUT", f"{one}/resume", Need.STEER, self._order(ConnectorState.RUNNING, 202)
            ),
            AdminRoute("PUT", f"{one}/stop", Need.ADMIN, self._order(ConnectorState.STOPPED, 204)),
            AdminRoute("POST", f"{one}/restart", Need.ADMIN, self._restart),
            AdminRoute("POST", f"{one}/tasks/{{task}}/restart", Need.ADMIN, self._restart_task),
        ]

    async def _list(self, request: Request) -> Response:
        wanted = request.query_params.getlist("expand")
        if not wanted:
            return answer([self._name])
        status = self._worker.status()
        all_of_it = {"status": status_body(status), "info": self._info_body(status)}
        shown = {word: body for word, body in all_of_it.items() if word in wanted}
        return answer({self._name: shown})

    async def _info(self, request: Request) -> Response:
        self._find(request, "Connector {} not found")
        return answer(self._info_body(self._worker.status()))

    async def _config(self, request: Request) -> Response:
        self._find(request, "Connector {} not found")
        return answer(self._configuration)

    async def _status(self, request: Request) -> Response:
        self._find(request, "No status found for connector {}")
        return answer(status_body(self._worker.status()))

    async def _tasks(self, request: Request) -> Response:
        self._find(request, "Connector {} not found")
        config = {**self._configuration, "task.class": TASK_CLASS}
        return answer(
            [
                {"id": {"connector": self._name, "task": task.id}, "config": config}
                for task in self._worker.status().tasks
            ]
        )

    async def _task_status(self, request: Request) -> Response:
        number = _task_number(request)
        ours = request.path_params["connector"] == self._name
        tasks = self._worker.status().tasks if ours else ()
        found = next((task for task in tasks if task.id == number), None)
        if found is None:
            name = request.path_params["connector"]
            raise HTTPException(404, f"No status found for task {name}-{number}")
        return answer(task_body(found))

    def _order(self, state: ConnectorState, status: int) -> Answer:
        async def tell(request: Request) -> Response:
            self._find(request, "Unknown connector {}")
            await self._worker.order(state)
            return empty(status)

        return tell

    async def _restart(self, request: Request) -> Response:
        """As Connect: tasks only with ``includeTasks``, and without either flag no body."""
        self._find(request, "Unknown connector: {}")
        include_tasks = _flag(request, "includeTasks")
        only_failed = _flag(request, "onlyFailed")
        before = self._worker.status()
        chosen = [
            task
            for task in before.tasks
            if include_tasks and (not only_failed or task.state is TaskState.FAILED)
        ]
        if chosen:
            ids = [task.id for task in chosen]
            await self._worker.restart(ids, only_failed=only_failed)
        if not include_tasks and not only_failed:
            return empty(204)
        body = status_body(replace(before, tasks=_restarting(before.tasks, chosen)))
        if not only_failed:
            body["connector"]["state"] = RESTARTING
        return answer(body, 202)

    async def _restart_task(self, request: Request) -> Response:
        number = _task_number(request)
        self._find(request, "Unknown connector: {}")
        if number not in {task.id for task in self._worker.status().tasks}:
            raise HTTPException(404, f"Unknown task: {self._name}-{number}")
        await self._worker.restart([number])
        return empty(204)

    async def _file_rules(self, _request: Request) -> Response:
        raise HTTPException(405, THE_FILE_RULES, {"allow": "GET, HEAD"})

    def _find(self, request: Request, sentence: str) -> None:
        find(request, self._name, sentence)

    def _info_body(self, status: ConnectorStatus) -> dict[str, Any]:
        return {
            "name": self._name,
            "config": self._configuration,
            "tasks": [{"connector": self._name, "task": task.id} for task in status.tasks],
            "type": "sink",
        }


def find(request: Request, name: str, sentence: str = "Connector {} not found") -> None:
    """See that the request is about our connector.

    Raises:
        HTTPException: 404, with Connect's sentence for this route; it holds the name asked for.
    """
    asked = request.path_params["connector"]
    if asked != name:
        raise HTTPException(404, sentence.format(asked))


def status_body(status: ConnectorStatus) -> dict[str, Any]:
    """Connect's ``ConnectorStateInfo``."""
    return {
        "name": status.name,
        "connector": {
            "state": status.state,
            "worker_id": status.worker_id,
            "version": processor.__version__,
        },
        "tasks": [task_body(task) for task in status.tasks],
        "type": "sink",
    }


def task_body(task: TaskStatus) -> dict[str, Any]:
    """Connect's ``TaskState``; a trace only where there is one."""
    body = {
        "id": task.id,
        "state": task.state,
        "worker_id": task.worker_id,
        "version": processor.__version__,
    }
    return {**body, "trace": redact(task.trace)} if task.trace else body


def _restarting(tasks: Sequence[TaskStatus], chosen: Sequence[TaskStatus]) -> list[TaskStatus]:
    return [
        replace(task, state=TaskState.RESTARTING, trace="") if task in chosen else task
        for task in tasks
    ]


def _task_number(request: Request) -> int:
    text = request.path_params["task"]
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - more digits than a task's number has
        raise HTTPException(404)
    return int(text)


def _flag(request: Request, name: str) -> bool:
    """As Java reads it: whatever is not ``true`` is false."""
    return request.query_params.get(name, "").lower() == "true"
