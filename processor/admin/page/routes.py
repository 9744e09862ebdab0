"""The pages as routes of the admin server, and what a browser sees instead of an error in JSON."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.page.dead_letters import DeadLetters
from processor.admin.page.overview import OverviewPage
from processor.admin.page.render import Pages, Static, wants_page
from processor.admin.page.replays import Replays
from processor.admin.routes import AdminRoute
from processor.connector.status import Worker
from processor.operations.desk.apart import Apart, Desk
from processor.operations.desk.jobs import Jobs
from processor.settings import Settings

Handler = Callable[[Request, Exception], Response]

MORE_TO_DRAIN_S = 15.0
"""Beyond its drain time-out, what a replay may take to write how far it came."""

LOG_IN = 401


def _place(request: Request) -> str:
    """Where a request went, to go there again after logging in."""
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"])
    return f"{path}?{query}" if query else path


class Page:
    """The pages over a worker.

    Args:
        worker: whom to ask.
        settings: the connector's.
        desk: looks at Kafka; made of the settings unless given.
    """

    def __init__(self, worker: Worker, settings: Settings, desk: Desk | None = None) -> None:
        self._desk = Apart(settings) if desk is None else desk
        drain_s = settings.delivery.drain_timeout_s + MORE_TO_DRAIN_S
        self._jobs = Jobs(self._desk, drain_s=drain_s)
        self._pages = Pages(settings.name)
        self._overview = OverviewPage(worker, settings, self._pages)

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, with what each needs."""
        return [
            AdminRoute("GET", "/overview", Need.LOOK, self._overview.answer),
            AdminRoute("GET", "/static/{name}", Need.NOTHING, Static().answer),
            *DeadLetters(self._desk, self._pages).routes(),
            *Replays(self._desk, self._jobs, self._pages).routes(),
        ]

    def handlers(self, handlers: Mapping[Any, Handler]) -> dict[Any, Handler]:
        """The same answers to errors, as pages where a browser asks."""
        return {kind: self._for_browsers(handler) for kind, handler in handlers.items()}

    def _for_browsers(self, handler: Handler) -> Handler:
        def answer(request: Request, error: Exception) -> Response:
            plain = handler(request, error)
            if not wants_page(request):
                return plain
            detail = str(orjson.loads(plain.body)["message"])
            if plain.status_code == LOG_IN:
                return self._pages.page(
                    request,
                    "login.html",
                    status=LOG_IN,
                    title="Log in",
                    wrong=request.method == "POST",
                    then=_place(request) if request.method == "GET" else "/overview",
                )
            return self._pages.error(request, plain.status_code, detail)

        return answer

    def drain(self) -> None:
        """Let replays drain, and begin no other."""
        self._jobs.drain()

    async def close(self) -> None:
        """End what runs for the pages; a replay drains first."""
        await self._jobs.close()
        self._desk.close()
