"""What the routes ask of Kafka itself, past the worker; every call blocks."""

from collections.abc import Mapping
from typing import Protocol

from processor.operations.cluster import cluster_id
from processor.operations.offsets import alter
from processor.record import TopicPartition
from processor.settings import Settings


class Kafka(Protocol):
    """The connector's Kafka cluster.

    All but `cluster_id` raise TryAgain when no broker answers or somebody is in the group, and
    Misconfigured when Kafka refuses us.
    """

    def cluster_id(self) -> str | None:
        """The cluster's id; `None` when no broker tells it soon."""
        ...

    def committed(self) -> Mapping[TopicPartition, int]:
        """What the connector's group has committed."""
        ...

    def alter(self, wanted: Mapping[TopicPartition, int | None]) -> None:
        """Commit these offsets; `None` forgets one. Misconfigured also: there is no such place."""
        ...

    def forget(self) -> None:
        """Forget all that the group has committed."""
        ...


class RealKafka:
    """The cluster that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def cluster_id(self) -> str | None:
        """See :class:`Kafka`; likewise the others."""
        return cluster_id(self._settings)

    def committed(self) -> Mapping[TopicPartition, int]:
        """What the connector's group has committed."""
        return alter.committed(self._settings)

    def alter(self, wanted: Mapping[TopicPartition, int | None]) -> None:
        """Commit these offsets; `None` forgets one."""
        alter.alter(self._settings, wanted)

    def forget(self) -> None:
        """Forget all that the group has committed."""
        alter.forget(self._settings)
