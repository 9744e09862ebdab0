"""The ledger's books as metrics, read at the moment of a snapshot so that they always balance."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from processor.connector.ledger import Ledger
from processor.mapping.mapper import Failure as RuleFailure


class BooksCollector(Collector):
    """What became of the records, by partition."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Consumed, delivered, dead-lettered, filtered, released and in flight."""
        where = ["topic", "partition"]
        consumed = CounterMetricFamily(
            "processor_records_consumed", "Records taken from Kafka.", labels=where
        )
        delivered = CounterMetricFamily(
            "processor_records_delivered",
            "Records accepted by Experience Platform for each of their targets.",
            labels=where,
        )
        dead = CounterMetricFamily(
            "processor_records_dead_lettered",
            "Records acknowledged by a dead-letter topic.",
            labels=[*where, "stage", "code"],
        )
        filtered = CounterMetricFamily(
            "processor_records_filtered", "Records left out on purpose.", labels=[*where, "reason"]
        )
        released = CounterMetricFamily(
            "processor_records_released",
            "Records given back unended at revocation, loss or stop.",
            labels=[*where, "reason"],
        )
        in_flight = GaugeMetricFamily(
            "processor_records_in_flight", "Records taken and not yet ended.", labels=where
        )
        for partition, books in self._ledger.books().items():
            place = [partition.topic, str(partition.partition)]
            consumed.add_metric(place, books.consumed)
            delivered.add_metric(place, books.delivered)
            in_flight.add_metric(place, books.in_flight)
            for code, count in books.dead_lettered.items():
                dead.add_metric([*place, code.stage, code], count)
            for reason, count in books.filtered.items():
                filtered.add_metric([*place, reason], count)
            for cause, count in books.released.items():
                released.add_metric([*place, cause], count)
        yield from (consumed, delivered, dead, filtered, released, in_flight)


class RuleFailuresCollector(Collector):
    """Rules of mapping sets that failed and gave null, which only ``mapping.mode = lenient`` lets.

    Args:
        failures: how often each failed; read whenever metrics are.
    """

    def __init__(self, failures: Mapping[RuleFailure, int]) -> None:
        self._failures = failures

    def collect(self) -> Iterator[Metric]:
        """One count for each rule; ``row`` is its number in the file, from 1."""
        family = CounterMetricFamily(
            "processor_mapping_failures",
            "Rows of mapping sets that failed and gave null (mapping.mode = lenient).",
            labels=["event", "target", "row"],
        )
        for (event_name, target, row), count in self._failures.items():
            family.add_metric([event_name, target, str(row)], count)
        yield family
