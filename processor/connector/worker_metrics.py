"""The metrics of a worker: those of its tasks added up, of all their lives."""

from collections import Counter
from collections.abc import Callable, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import processor
from processor.connector.child import Child
from processor.connector.status import ConnectorState, TaskState
from processor.telemetry.metrics import added_up, of_worker


class WorkerMetrics(Collector):
    """What a scrape gets.

    Args:
        state: what the connector is told to be.
    """

    def __init__(self, children: Sequence[Child], state: Callable[[], ConnectorState]) -> None:
        self._children = children
        self._state = state

    def collect(self) -> list[Metric]:
        """The metrics as of now."""
        lives = [child.beat.metrics for child in self._children if child.beat is not None]
        ended = [child.ended for child in self._children]
        states = Counter(child.report().state for child in self._children)
        return [
            *added_up([*ended, *lives, [self._as_ordered()]]),
            *of_worker(processor.__version__, {state: states[state] for state in TaskState}),
        ]

    def _as_ordered(self) -> Metric:
        """Whether records wait because somebody said so."""
        paused = Metric("processor_paused", "Whether records wait, by reason.", "gauge")
        for state in (ConnectorState.PAUSED, ConnectorState.STOPPED):
            labels = {"reason": state.value.lower()}
            paused.add_sample("processor_paused", labels, float(self._state() is state))
        return paused
