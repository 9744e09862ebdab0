"""Health and metrics: what platforms and Prometheus ask for, open to everybody who reaches us."""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Access, Need
from processor.admin.answers import HEADERS, answer
from processor.admin.routes import AdminRoute
from processor.connector.status import ConnectorState, TaskState, Worker

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FRESH_S = 0.25
STARTED = "Worker has completed startup and is ready to handle requests."


class Written:
    """A text that takes long to write; whoever asks within `FRESH_S` gets the same.

    Tasks tell what they count every half second, so nobody misses anything.
    """

    def __init__(
        self, write: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._text: tuple[float, bytes] | None = None

    def now(self) -> bytes:
        """The text, written anew or a moment ago."""
        now_s = self._clock()
        if self._text is None or now_s - self._text[0] > FRESH_S:
            self._text = now_s, self._write()
        return self._text[1]


def health_routes(worker: Worker, access: Access) -> list[AdminRoute]:
    """``/livez``, ``/readyz``, ``/metrics``, and ``/health`` as Connect answers it (KIP-1017)."""

    async def livez(_request: Request) -> Response:
        live = worker.live()
        return answer({"status": "live" if live else "stuck"}, 200 if live else 503)

    async def readyz(request: Request) -> Response:
        ready, reasons = worker.ready()
        if ready:
            return answer({"status": "ready"})
        if not access.may_look(request):
            reasons = list(dict.fromkeys(map(_named, reasons)))  # of several targets: once
        return answer({"status": "not ready", "reasons": reasons}, 503)

    written = Written(worker.metrics)

    async def metrics(_request: Request) -> Response:
        return Response(written.now(), media_type=METRICS_TYPE, headers=HEADERS)

    async def health(_request: Request) -> Response:
        status, word, message = judged(worker)
        return answer({"status": word, "message": message}, status)

    return [
        AdminRoute("GET", "/livez", Need.NOTHING, livez),
        AdminRoute("GET", "/readyz", Need.NOTHING, readyz),
        AdminRoute("GET", "/health", Need.NOTHING, health),
        AdminRoute("GET", "/metrics", Need.NOTHING, metrics),
    ]


def judged(worker: Worker) -> tuple[int, str, str]:
    """Status code, word and sentence.

    Connect's own says nothing of tasks. Here a worker whose task has failed, or that a person has
    to help, is unhealthy; one that waits for something to come back, or was told to pause, is not.
    """
    if not worker.live():
        return 500, "unhealthy", "Worker does not do its work and should be restarted."
    status = worker.status()
    own = [task for task in status.tasks if task.worker_id == status.worker_id]
    failed = [task.id for task in own if task.state is TaskState.FAILED]
    if failed:
        return 500, "unhealthy", f"Failed: {_tasks(failed)}."
    held = sorted({w.reason for task in own for w in task.waiting if w.of_setup})
    if held:
        return 500, "unhealthy", f"Somebody has to mend the set-up: {', '.join(held)}."
    if status.state is not ConnectorState.RUNNING:
        return 200, "healthy", f"{STARTED} The connector is {status.state}."
    if not own or all(task.state is TaskState.UNASSIGNED for task in own):
        return 503, "starting", "Worker is still starting up."
    waits = sorted({w.reason for task in own for w in task.waiting})
    if waits:
        return 200, "healthy", f"{STARTED} It waits for {', '.join(waits)}."
    return 200, "healthy", STARTED


def _named(reason: str) -> str:
    """A reason without its sentence, which may name hosts and topics."""
    return ": ".join(reason.partition(". ")[0].split(": ")[:2]).rstrip(".")


def _tasks(ids: list[int]) -> str:
    return f"task {ids[0]}" if len(ids) == 1 else f"tasks {', '.join(map(str, ids))}"
