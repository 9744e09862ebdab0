"""What a crowd at the admin server costs the connector: with it and without, in turn."""

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from processor.local.broker import Broker
from processor.local.process import Process
from processor.local.registry import Registry
from tests.bench.load import Load
from tests.bench.measure import Span

LATENCY_MS = 100
MOST_LOST = 0.05
"""Of the throughput, issue 7 allows a crowd to take less than so much."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """One run.

    Attributes:
        answered: what the crowd was answered, by status; empty without one.
    """

    crowd: bool
    records_per_s: float
    sink_cores: float
    answered: dict[str, int]


Run = Callable[[str, int, int, bool], tuple[Span, dict[str, int]]]


def compare_crowd(
    options: argparse.Namespace, run: Run, broker: Broker, registry: Registry, console: Console
) -> dict[str, Any]:
    """Run with and without a crowd, in turn, and give the figures.

    Raises:
        RuntimeError: the crowd was not answered as it should be.
    """
    topic = broker.create_topic("crowded", 4)
    load = Load(options.event, topic, registry.url)
    console.print(f"Producing {options.records} {options.event} records.")
    load.fill(broker.bootstrap_servers, topic, options.records)
    results: list[Crowded] = []
    for number in range(options.runs):
        # The order changes from pair to pair, so what drifts does not always fall on one of them.
        for crowd in (False, True) if number % 2 == 0 else (True, False):
            console.print(f"crowd {'on' if crowd else 'off'}, pair {number + 1} of {options.runs}")
            span, answered = run(topic, options.records, LATENCY_MS, crowd)
            results.append(Crowded(crowd, span.records_per_s, span.sink_cores, answered))
    figures = {"records": options.records, "latency_ms": LATENCY_MS, **summary(results)}
    figures["runs"] = [asdict(result) for result in results]
    show(figures, results, console)
    answered = Counter[str]()
    for result in results:
        answered.update(result.answered)
    if not answered["200"] or not answered["413"]:
        raise RuntimeError(f"the crowd was answered otherwise than it should be: {dict(answered)}")
    return figures


def summary(results: list[Crowded]) -> dict[str, float]:
    """The median rates, and the median of what each pair lost."""
    pairs = zip(
        [r.records_per_s for r in results if not r.crowd],
        [r.records_per_s for r in results if r.crowd],
        strict=True,
    )
    lost = [1 - crowded / alone for alone, crowded in pairs]
    return {
        "alone_records_per_s": round(
            statistics.median(r.records_per_s for r in results if not r.crowd)
        ),
        "crowded_records_per_s": round(
            statistics.median(r.records_per_s for r in results if r.crowd)
        ),
        "lost": round(statistics.median(lost), 3),
    }


def show(figures: dict[str, Any], results: list[Crowded], console: Console) -> None:
    """Print the figures as a table and a sentence."""
    table = Table("crowd", "records/s", "sink", "answered")
    for r in results:
        told = json.dumps(r.answered, sort_keys=True) if r.crowd else ""
        row = ("on" if r.crowd else "off", f"{r.records_per_s:,.0f}", f"{r.sink_cores:.0%}", told)
        table.add_row(*row)
    console.print(table)
    console.print(
        f"Alone {figures['alone_records_per_s']:,} records/s, crowded "
        f"{figures['crowded_records_per_s']:,}: {figures['lost']:.1%} lost in the median pair "
        f"(less than {MOST_LOST:.0%} is asked for)."
    )


def told_by(process: Process) -> dict[str, int]:
    """What the crowd wrote when it was stopped."""
    lines = [line for line in process.output().splitlines() if line.startswith("{")]
    told: dict[str, int] = json.loads(lines[-1]) if lines else {}
    return told
