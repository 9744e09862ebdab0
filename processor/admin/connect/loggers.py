"""``/admin/loggers``: levels of the connector's own loggers, in Connect's words (KIP-495)."""

import logging
import time
from typing import Protocol, runtime_checkable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.answers import answer, empty
from processor.admin.forms import json_of
from processor.admin.routes import AdminRoute
from processor.connector.status import Health

ROOT, OURS = "root", "processor"
OFF = logging.CRITICAL + 10
LEVELS = {
    "OFF": OFF,
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


@runtime_checkable
class Verbose(Protocol):
    """A worker whose tasks can be told what to log."""

    def set_level(self, logger: str, level: int) -> None:
        """Have every task of this worker log so, those that start later too.

        Args:
            logger: its name; empty: the root.
            level: one of the standard library's.
        """
        ...


class Loggers:
    """Connect's resource of that path."""

    def __init__(self, worker: Health) -> None:
        self._worker = worker
        self._changed_ms: dict[str, int] = {}

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        return [
            AdminRoute("GET", "/admin/loggers", Need.LOOK, self._all),
            AdminRoute("GET", "/admin/loggers/{logger}", Need.LOOK, self._one),
            AdminRoute("PUT", "/admin/loggers/{logger}", Need.ADMIN, self._set),
        ]

    async def _all(self, _request: Request) -> Response:
        return answer({name: self._body(name) for name in _names()})

    async def _one(self, request: Request) -> Response:
        name = request.path_params["logger"]
        if name not in _names():
            raise HTTPException(404, f"Logger {name} not found.")
        return answer(self._body(name))

    async def _set(self, request: Request) -> Response:
        """As Connect: a logger and all below it; with ``scope=cluster`` without a body."""
        name = request.path_params["logger"]
        level = _level_in(await json_of(request))
        if name != ROOT and not _is_ours(name):
            raise HTTPException(400, LIBRARIES)
        changed = [one for one in _names() if one == name or one.startswith(f"{name}.")]
        changed = sorted({name, *changed})
        for one in changed:
            logging.getLogger("" if one == ROOT else one).setLevel(level)
            self._changed_ms[one] = round(time.time() * 1000)
            if isinstance(self._worker, Verbose):
                self._worker.set_level("" if one == ROOT else one, level)
        scope = request.query_params.get("scope", "worker").lower()
        return empty(204) if scope == "cluster" else answer(changed)

    def _body(self, name: str) -> dict[str, str | int | None]:
        level = logging.getLogger("" if name == ROOT else name).getEffectiveLevel()
        return {
            "level": _WORDS.get(level, logging.getLevelName(level)),
            "last_modified": self._changed_ms.get(name),
        }


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


def _names() -> list[str]:
    known = [name for name in logging.root.manager.loggerDict if _is_ours(name)]
    return [*sorted(known), ROOT]


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith(f"{OURS}.")
