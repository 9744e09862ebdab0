"""What the admin server answers: is the worker alive, is it ready, how is it doing."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from processor.admin.limits import BoundedBodies
from processor.connector.status import Health

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def create_app(worker: Health) -> Starlette:
    """The application over this worker."""

    async def livez(_request: Request) -> Response:
        live = worker.live()
        return _answer(200 if live else 503, {"status": "live" if live else "stuck"})

    async def readyz(_request: Request) -> Response:
        ready, reasons = worker.ready()
        if ready:
            return _answer(200, {"status": "ready"})
        return _answer(503, {"status": "not ready", "reasons": reasons})

    async def metrics(_request: Request) -> Response:
        return Response(worker.metrics(), media_type=METRICS_TYPE, headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(BoundedBodies)],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


def _answer(status: int, body: dict[str, object]) -> JSONResponse:
    return JSONResponse(body, status_code=status, headers=_HEADERS)


async def _refused(_request: Request, error: Exception) -> Response:
    """Kafka Connect's shape of an error."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal error."
    headers = {**_HEADERS, **(getattr(error, "headers", None) or {})}
    body = {"error_code": status, "message": detail}
    return JSONResponse(body, status_code=status, headers=headers)


async def _failed(_request: Request, _error: Exception) -> Response:
    return _answer(500, {"error_code": 500, "message": "Internal error; the log says more."})
