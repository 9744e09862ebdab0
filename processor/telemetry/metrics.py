"""What a task measures, under the names of the documentation; the supervisor adds tasks up.

Per-record counts are not here: they are the ledger's books, read when a snapshot is made, so that
the accounting equation holds at every scrape.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

REQUEST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
REQUEST_BYTES = (1e3, 1e4, 5e4, 1e5, 2.5e5, 5e5, 7.5e5, 1e6)
END_TO_END_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86400)


class EndToEnd(Collector):
    """A histogram that is cheap enough to observe once a record (a bisection and an addition)."""

    def __init__(self) -> None:
        self._buckets = END_TO_END_SECONDS
        self._counts = [0] * (len(self._buckets) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one record that took this long from its Kafka timestamp to acceptance."""
        self._counts[bisect_left(self._buckets, seconds)] += 1
        self._sum_s += seconds

    def collect(self) -> Iterator[Metric]:
        """The histogram in Prometheus' cumulative form."""
        total, cumulative = 0, list[tuple[str, float]]()
        for bound, count in zip(
            (*map(str, map(float, self._buckets)), "+Inf"), self._counts, strict=True
        ):
            total += count
            cumulative.append((bound, float(total)))
        family = HistogramMetricFamily(
            "processor_end_to_end_seconds", "Kafka timestamp to accepted, in seconds."
        )
        family.add_metric([], buckets=cumulative, sum_value=self._sum_s)
        yield family


class TaskMetrics:
    """The instruments of one task, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.messages_sent = Counter(
            "processor_messages_sent_total",
            "Messages that Experience Platform accepted.",
            ["target"],
            registry=registry,
        )
        self.requests = Counter(
            "processor_requests_total",
            "Requests to Experience Platform, by HTTP status or kind of failure.",
            ["target", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "processor_request_seconds",
            "Time from sending a request to its answer.",
            ["target"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self.request_bytes = Histogram(
            "processor_request_bytes",
            "Size of request bodies before compression.",
            ["target"],
            buckets=REQUEST_BYTES,
            registry=registry,
        )
        self.retries = Counter(
            "processor_retries_total",
            "Requests that were sent again, by what the earlier one came to.",
            ["target", "code"],
            registry=registry,
        )
        self.concurrency_limit = Gauge(
            "processor_concurrency_limit",
            "Requests that may be in flight now.",
            registry=registry,
        )
        self.paused = Gauge(
            "processor_paused",
            "1 while the task waits for this reason.",
            ["reason"],
            registry=registry,
        )
        self.token_expires_in_seconds = Gauge(
            "processor_token_expires_in_seconds",
            "Rest of the access token's life; 0 without a token.",
            registry=registry,
        )
        self.token_refresh = Counter(
            "processor_token_refresh_total",
            "Token requests to IMS, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.dlq_produce_failures = Counter(
            "processor_dlq_produce_failures_total",
            "Dead letters that the broker did not acknowledge at the first try.",
            registry=registry,
        )
        self.commits = Counter(
            "processor_commits_total",
            "Offset commits, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.rebalances = Counter(
            "processor_rebalances_total",
            "Rebalances that this task took part in.",
            registry=registry,
        )
        self.consumer_lag = Gauge(
            "processor_consumer_lag",
            "Records between the next offset to read and the end of the partition.",
            ["topic", "partition"],
            registry=registry,
        )
        self.unmapped_events = Counter(
            "processor_unmapped_events_total",
            "Records left out because their event has no mapping, by the name Capillary documents.",
            ["event"],
            registry=registry,
        )
        self.end_to_end = EndToEnd()
        registry.register(self.end_to_end)

    def snapshot(self) -> list[Metric]:
        """Every metric with its samples; what a task sends to its supervisor."""
        return list(self.registry.collect())


def of_worker(version: str, tasks: Mapping[str, int]) -> list[Metric]:
    """What a worker says of itself.

    Args:
        version: of the processor.
        tasks: how many of its tasks are in each state, none left out: a state that nobody is in
            any more has to become 0.
    """
    info = GaugeMetricFamily(
        "processor_build_info", "Version of the processor.", labels=["version"]
    )
    info.add_metric([version], 1)
    states = GaugeMetricFamily(
        "processor_tasks", "Tasks of this worker, by Kafka Connect's states.", labels=["state"]
    )
    for state, count in tasks.items():
        states.add_metric([state], count)
    return [info, states]


SUMMED_GAUGES = frozenset(
    {
        "processor_records_in_flight",
        "processor_consumer_lag",
        "processor_concurrency_limit",
    }
)
LOWEST_GAUGES = frozenset({"processor_token_expires_in_seconds"})


def added_up(snapshots: Iterable[Sequence[Metric]]) -> list[Metric]:
    """One set of metrics for the snapshots of several tasks.

    Counters, histograms and amounts are added; of the token's remaining life the shortest counts;
    any other gauge takes the highest value, so that *paused* is 1 when one task is.
    """
    merged: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for snapshot in snapshots:
        for metric in snapshot:
            merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            samples = values.setdefault(metric.name, {})
            for sample in metric.samples:
                if sample.name.endswith("_created"):
                    continue
                key = (sample.name, tuple(sorted(sample.labels.items())))
                if key not in samples:
                    samples[key] = sample.value
                elif metric.type != "gauge" or metric.name in SUMMED_GAUGES:
                    samples[key] += sample.value
                elif metric.name in LOWEST_GAUGES:
                    samples[key] = min(samples[key], sample.value)
                else:
                    samples[key] = max(samples[key], sample.value)
    for name, metric in merged.items():
        for (sample_name, labels), value in values[name].items():
            metric.add_sample(sample_name, dict(labels), value)
    return list(merged.values())
