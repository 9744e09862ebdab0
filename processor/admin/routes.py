"""Routes with what each asks of its caller: none comes to be without saying so."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from processor.admin.access import SAFE, Access, Denied, Need
from processor.admin.limits import Slots
from processor.connector.task_process import frames_of
from processor.errors import ProcessorError
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class AdminRoute:
    """One thing that can be asked for.

    Attributes:
        method: ``GET`` also answers ``HEAD``.
        path: as Starlette writes it: ``/connectors/{connector}``.
        need: what is asked of the caller.
        answer: gives the answer; finds the caller in ``request.state.caller``.
    """

    method: str
    path: str
    need: Need
    answer: Answer


class WithoutTrailingSlash:
    """Answers ``/connectors/`` as ``/connectors``, as Connect does, before a route is looked for.

    Starlette would redirect, to whatever host the request names.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].removesuffix("/")}
        await self._app(scope, receive, send)


def guarded(routes: Iterable[AdminRoute], access: Access, slots: Slots) -> list[Route]:
    """Starlette's routes, one a path, each behind its guard.

    Raises:
        ValueError: two say what a method of a path does.
    """
    by_path: dict[str, dict[str, AdminRoute]] = {}
    for route in routes:
        methods = by_path.setdefault(route.path, {})
        if route.method in methods:
            raise ValueError(f"{route.method} {route.path} is there twice")
        methods[route.method] = route
    return [_one(path, methods, access, slots) for path, methods in by_path.items()]


def _one(path: str, methods: dict[str, AdminRoute], access: Access, slots: Slots) -> Route:
    async def endpoint(request: Request) -> Response:
        route = methods["GET" if request.method == "HEAD" else request.method]
        try:
            caller = await access.admit(request, route.need)
        except Denied as denied:
            if request.method not in SAFE:
                _note(request, route, denied.status_code, "nobody")
            raise
        request.state.caller = caller
        if route.need is Need.NOTHING:
            return await _answered(route, request)
        with slots.taken():
            answer = await _answered(route, request)
        if request.method not in SAFE:
            _note(request, route, answer.status_code, caller.name)
        return answer

    return Route(path, endpoint, methods=list(methods))


async def _answered(route: AdminRoute, request: Request) -> Response:
    """What a route answers; of a defect only types and places are logged, for its text may quote.

    An exception that leaves the application is logged by the server, text and all.
    """
    try:
        return await route.answer(request)
    except (HTTPException, ProcessorError):
        raise
    except Exception as defect:  # noqa: BLE001 - see above
        log.error("A request over HTTP ended by a defect.", where=frames_of(defect))  # noqa: TRY400
        raise HTTPException(500, "Internal error; the log says more.") from None


def _note(request: Request, route: AdminRoute, status: int, caller: str) -> None:
    """Who changed what, or tried to; never what they sent."""
    log.info(
        "Asked over HTTP.",
        route=f"{route.method} {route.path}",
        status=status,
        caller=caller,
        client=request.client.host if request.client is not None else "",
    )
