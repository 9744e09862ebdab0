"""``GET /``: the version of the worker and the id of its Kafka cluster."""

from starlette.requests import Request
from starlette.responses import Response

import processor
from processor.admin.access import Need
from processor.admin.answers import answer
from processor.admin.blocking import Blocking
from processor.admin.connect.kafka import Kafka
from processor.admin.page.render import go_to, wants_page
from processor.admin.routes import AdminRoute

UNKNOWN = "unknown"
"""As Kafka itself says when it does not know its commit."""


class Root:
    """Connect's root resource; a browser is sent to the overview.

    Kafka is asked once: a cluster's id does not change.
    """

    def __init__(self, kafka: Kafka, blocking: Blocking) -> None:
        self._kafka = kafka
        self._blocking = blocking
        self._cluster_id: str | None = None

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        return [AdminRoute("GET", "/", Need.LOOK, self._root)]

    async def _root(self, request: Request) -> Response:
        if wants_page(request):
            return go_to("/overview", request)
        if self._cluster_id is None:
            self._cluster_id = await self._blocking.run(self._kafka.cluster_id)
        return answer(
            {
                "version": processor.__version__,
                "commit": UNKNOWN,
                "kafka_cluster_id": self._cluster_id,
            }
        )
