"""``/connectors/{connector}/topics``: topics that records were consumed from."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.answers import answer, empty
from processor.admin.connect.connectors import find
from processor.admin.routes import AdminRoute
from processor.connector.status import Health

CONSUMED = "processor_records_consumed_total"


class Topics:
    """Connect's resource of that path (KIP-558): of this worker's tasks, since start or reset."""

    def __init__(self, worker: Health, name: str) -> None:
        self._worker = worker
        self._name = name
        self._before: dict[str, float] = {}

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        path = "/connectors/{connector}/topics"
        return [
            AdminRoute("GET", path, Need.LOOK, self._get),
            AdminRoute("PUT", f"{path}/reset", Need.ADMIN, self._reset),
        ]

    async def _get(self, request: Request) -> Response:
        find(request, self._name)
        consumed = self._consumed().items()
        topics = sorted(name for name, count in consumed if count > self._before.get(name, 0))
        return answer({self._name: {"topics": topics}})

    async def _reset(self, request: Request) -> Response:
        find(request, self._name)
        self._before = self._consumed()
        return empty(202)

    def _consumed(self) -> dict[str, float]:
        """How many records of each topic."""
        counts: dict[str, float] = {}
        for family in text_string_to_metric_families(self._worker.metrics().decode()):
            for sample in family.samples:
                if sample.name == CONSUMED:
                    topic = sample.labels["topic"]
                    counts[topic] = counts.get(topic, 0) + sample.value
        return counts
