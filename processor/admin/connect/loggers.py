"""``/admin/loggers``: levels of the connector's own loggers, in Connect's words (KIP-495)."""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.answers import answer, empty
from processor.admin.forms import json_of
from processor.admin.routes import AdminRoute
from processor.connector.status import Worker
from processor.telemetry import levels

LEVELS = {
    "OFF": levels.OFF,
    "FATAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": logging.DEBUG,
    "ALL": logging.DEBUG,
}
"""Log4j's levels, and what Python has for them."""

_WORDS = {number: word for word, number in reversed(LEVELS.items())}
LIBRARIES = (
    "Only root and the loggers of processor can be set: what libraries write below their level "
    "holds headers and addresses."
)


class Loggers:
    """Connect's resource of that path."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        return [
            AdminRoute("GET", "/admin/loggers", Need.LOOK, self._all),
            AdminRoute("GET", "/admin/loggers/{logger}", Need.LOOK, self._one),
            AdminRoute("PUT", "/admin/loggers/{logger}", Need.ADMIN, self._set),
        ]

    async def _all(self, _request: Request) -> Response:
        return answer({name: _body(name) for name in levels.known()})

    async def _one(self, request: Request) -> Response:
        name = request.path_params["logger"]
        if name not in levels.known():
            raise HTTPException(404, f"Logger {name} not found.")
        return answer(_body(name))

    async def _set(self, request: Request) -> Response:
        """As Connect: a logger and all below it; with ``scope=cluster`` without a body."""
        name = request.path_params["logger"]
        level = _level_in(await json_of(request))
        if not levels.is_ours(name):
            raise HTTPException(400, LIBRARIES)
        everywhere = request.query_params.get("scope", "worker").lower() == "cluster"
        await self._worker.log_at(level, name, everywhere=everywhere)
        return empty(204) if everywhere else answer(levels.below(name))


def _body(name: str) -> dict[str, str | int | None]:
    level = levels.level_of(name)
    word = _WORDS.get(level, logging.getLevelName(level))
    return {"level": word, "last_modified": levels.changed_ms(name)}


def _level_in(body: object) -> int:
    """The level that a body asks for.

    Raises:
        HTTPException: 400, it names none; 404, there is no such level (as Connect answers).
    """
    word = body.get("level") if isinstance(body, dict) else None
    if not isinstance(word, str):
        raise HTTPException(400, "Desired 'level' parameter was not specified in request.")
    level = LEVELS.get(word.upper())
    if level is None:
        raise HTTPException(404, f"invalid log level '{word[:100]}'.")
    return level
