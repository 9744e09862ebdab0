"""What order per key costs, and whether it is kept: ``key`` against ``none`` in one run."""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from processor.local.broker import Broker
from processor.local.registry import Registry
from tests.bench.load import Load

KEYS, LATENCY_MS, PARTITIONS_ORDERED = 1_000, 100, 1
LEAST_RATIO = 0.5
"""Of the rate without order, so much is wanted with order."""

IN_TURN, DRAWN = "in-turn", "drawn"
"""How the customers come: all equally often, or by chance, where the busiest one sets the pace."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One run with one of the settings of ``ordering``.

    Attributes:
        keys: different keys that the sink saw.
        messages: different messages that it saw.
        late: of those, accepted for the first time after a later one of their key.
        again: messages that it got more than once.
        elsewhere: records that ended otherwise than delivered.
    """

    ordering: str
    latency_ms: int
    records_per_s: float
    sink_cores: float
    keys: int
    messages: int
    late: int
    again: int
    elsewhere: int


def compare_orderings(
    options: argparse.Namespace,
    run: Callable[[str, str, int, int], Ordered],
    broker: Broker,
    registry: Registry,
    console: Console,
) -> dict[str, Any]:
    """Run both in turn, as often as asked for, and give the figures.

    Raises:
        RuntimeError: the order was not kept, or something is missing.
    """
    topic = broker.create_topic("ordering", options.partitions)
    in_turn = options.customers == IN_TURN
    load = Load(options.event, topic, registry.url, customers=KEYS, in_turn=in_turn)
    console.print(
        f"Producing {options.records} {options.event} records of {KEYS} customers, "
        f"{options.customers}."
    )
    load.fill(broker.bootstrap_servers, topic, options.records, different=options.records)
    results: list[Ordered] = []
    for number in range(options.runs):
        for ordering in ("key", "none"):
            console.print(f"ordering {ordering}, run {number + 1} of {options.runs}")
            results.append(run(ordering, topic, options.records, LATENCY_MS))
    figures = {
        "event": options.event,
        "records": options.records,
        "record_bytes": load.size_bytes,
        "partitions": options.partitions,
        "customers": options.customers,
        "busiest_customer_records": load.busiest,
        "runs": [asdict(result) for result in results],
        **medians(results),
    }
    show(figures, results, console)
    for result in results:
        if wrong := what_is_wrong(result, options.records):
            raise RuntimeError(f"ordering {result.ordering}: {wrong}")
    return figures


def what_is_wrong(result: Ordered, count: int) -> str:
    """Why a run shows nothing, or the opposite of what it should; empty: all is well."""
    if result.messages != count:
        return f"the sink knew {result.messages} of {count} messages"
    if result.elsewhere:
        return f"{result.elsewhere} records were not delivered"
    if result.ordering == "key" and result.late:
        return f"{result.late} messages were accepted after a later one of their key"
    return ""


def medians(results: list[Ordered]) -> dict[str, float]:
    """The median rates, and the one over the other."""
    key, none = (
        statistics.median(r.records_per_s for r in results if r.ordering == ordering)
        for ordering in ("key", "none")
    )
    return {
        "key_records_per_s": round(key),
        "none_records_per_s": round(none),
        "ratio": round(key / none, 3),
    }


def show(figures: dict[str, Any], results: list[Ordered], console: Console) -> None:
    """Print the figures as a table and a sentence."""
    table = Table("ordering", "latency", "records/s", "keys", "late", "again", "elsewhere", "sink")
    for column in table.columns[1:]:
        column.justify = "right"
    for r in results:
        table.add_row(
            r.ordering,
            f"{r.latency_ms} ms",
            f"{r.records_per_s:,.0f}",
            f"{r.keys:,}",
            str(r.late),
            str(r.again),
            str(r.elsewhere),
            f"{r.sink_cores:.0%}",
        )
    console.print(table)
    console.print(
        f"{figures['partitions']} partition(s), customers {figures['customers']}, "
        f"{figures['busiest_customer_records']} records of the busiest: with order "
        f"{figures['key_records_per_s']:,} records/s, without {figures['none_records_per_s']:,}: "
        f"{figures['ratio']:.2f} of it (at least {LEAST_RATIO} is asked for)."
    )
