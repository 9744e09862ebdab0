"""What the routes ask of Kafka itself, past the worker; every call blocks."""

from typing import Protocol

from processor.operations.cluster import cluster_id
from processor.settings import Settings


class Kafka(Protocol):
    """The connector's Kafka cluster."""

    def cluster_id(self) -> str | None:
        """The cluster's id; `None` when no broker tells it soon."""
        ...


class RealKafka:
    """As the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def cluster_id(self) -> str | None:
        """See :class:`Kafka`."""
        return cluster_id(self._settings)
