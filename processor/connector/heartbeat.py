"""What a task tells its supervisor, several times a second."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric

from processor.connector.hold import Hold
from processor.connector.task import State

EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a task waits.

    Attributes:
        of_setup: a person has to mend something; else it passes by itself.
    """

    reason: str
    message: str
    of_setup: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The state of one task at one moment; its metrics are consistent with each other.

    Attributes:
        trace: why the task failed, in Kafka Connect's word; empty while it has not.
        holdings: what its systemic brake holds.
    """

    task_id: int
    state: State
    trace: str
    waiting: Sequence[Waiting]
    metrics: Sequence[Metric]
    holdings: Sequence[Hold] = ()
