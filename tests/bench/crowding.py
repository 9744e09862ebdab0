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

LATENCY_MS = 100
MOST_LOST = 0.05
"""Of the throughput, issue 7 allows a crowd to take less than so much."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """One run.

    Attributes:
        admin_cores: CPU of the process that answers, its start included, over the run's length.
        answered: what the crowd was answered, by status; empty without one.
    """

    crowd: bool
    records_per_s: float
    sink_cores: float
    admin_cores: float
    answered: dict[str, int]


Run = Callable[[str, int, int, bool], Crowded]


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
            results.append(run(topic, options.records, LATENCY_MS, crowd))
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
    alone = [r for r in results if not r.crowd]
    crowded = [r for r in results if r.crowd]
    pairs = zip(alone, crowded, strict=True)
    lost = [1 - beset.records_per_s / quiet.records_per_s for quiet, beset in pairs]
    return {
        "alone_records_per_s": round(statistics.median(r.records_per_s for r in alone)),
        "crowded_records_per_s": round(statistics.median(r.records_per_s for r in crowded)),
        "lost": round(statistics.median(lost), 3),
        "admin_cores_alone": round(statistics.median(r.admin_cores for r in alone), 3),
        "admin_cores_crowded": round(statistics.median(r.admin_cores for r in crowded), 3),
    }


def show(figures: dict[str, Any], results: list[Crowded], console: Console) -> None:
    """Print the figures as a table and a sentence."""
    table = Table("crowd", "records/s", "sink", "admin", "answered")
    for r in results:
        told = json.dumps(r.answered, sort_keys=True) if r.crowd else ""
        rate, sink, admin = f"{r.records_per_s:,.0f}", f"{r.sink_cores:.0%}", f"{r.admin_cores:.0%}"
        table.add_row("on" if r.crowd else "off", rate, sink, admin, told)
    console.print(table)
    console.print(
        f"Alone {figures['alone_records_per_s']:,} records/s, crowded "
        f"{figures['crowded_records_per_s']:,}: {figures['lost']:.1%} lost in the median pair "
        f"(less than {MOST_LOST:.0%} is asked for). The process that answers used "
        f"{figures['admin_cores_alone']:.1%} of a core alone, {figures['admin_cores_crowded']:.1%} "
        "crowded."
    )


def told_by(process: Process) -> dict[str, int]:
    """What the crowd has written last."""
    lines = [line for line in process.output().splitlines() if line.startswith("{")]
    told: dict[str, int] = json.loads(lines[-1]) if lines else {}
    return told
