"""How fast many dead letters are looked at, and in how much memory: the real commands, timed.

A real broker holds the letters; each command is a process of its own, as a person would run it.
Its time is that of the wall, with its start, which is also measured alone; of the short ones the
quickest of five counts.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from processor.local import broker as brokers
from processor.local.broker import Broker
from processor.local.programs import clean_environment, processor_command, toml
from tests.bench.letters_load import (
    CONNECTOR,
    DIFFERENT,
    RARE,
    RARE_EVERY,
    TARGETS,
    Filled,
    fill,
)

PARTITIONS = 8
SHORT = ("the start of the process", "first page", "a page in the middle", "one letter")
SHORT_RUNS = 5
TOPIC = "bench"
LETTERS_TOPIC = f"{TOPIC}.dlq"
ORG_ID = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"

console = Console(stderr=True, highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Run:
    """One command.

    Attributes:
        lines: what it printed.
        seconds: of the wall.
        cpu_s: in user and system mode.
        peak_mb: highest resident memory in MiB.
    """

    name: str
    lines: int
    seconds: float
    cpu_s: float
    peak_mb: float


LAUNCHER = """
import json, os, sys, time
begin_s = time.monotonic()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
figures = [time.monotonic() - begin_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), *figures], file)
"""
"""A process of its own, because a child's highest resident memory is at least its parent's."""


def timed(name: str, config: Path, *arguments: str) -> Run:
    """Run a command once, and measure it."""
    environment = clean_environment() | {"PROCESSOR_CONFIG": str(config)}
    usage = config.with_name("usage.json")
    launch = [sys.executable, "-S", "-c", LAUNCHER, str(usage), *processor_command(*arguments)]
    with subprocess.Popen(launch, env=environment, stdout=subprocess.PIPE, text=True) as child:
        lines = sum(1 for _ in child.stdout or ())
    status, seconds, cpu_s, peak_mb = json.loads(usage.read_text())
    assert status == 0, f"{name} ended with {status}"
    return Run(name, lines, round(seconds, 2), round(cpu_s, 2), round(peak_mb, 1))


def quickest(name: str, config: Path, *arguments: str) -> Run:
    """The quickest of some runs of a short command, on which other programs weigh the most."""
    runs = [timed(name, config, *arguments) for _ in range(SHORT_RUNS)]
    return min(runs, key=lambda run: run.seconds)


def commands(filled: Filled, letters: int) -> dict[str, list[str]]:
    """What is measured: by name, the arguments."""
    middle = f"{LETTERS_TOPIC}:0:{letters // PARTITIONS // 2}"
    customer = f"data.customerIdentifiers.customerId={filled.customer}"
    return {
        "the start of the process": ["--version"],
        "first page": ["dlq", "list", "--json"],
        "a page in the middle": ["dlq", "list", "--json", "--after", middle],
        "one letter": ["dlq", "show", LETTERS_TOPIC, "0", "0", "--json"],
        "stats": ["dlq", "stats", "--json"],
        "stats of one code": ["dlq", "stats", "--json", "--code", RARE.value],
        "topics": ["dlq", "topics", "--json"],
        "all of one code": ["dlq", "list", "--json", "--limit", "0", "--code", RARE.value],
        "all of one customer, --where": [
            *("dlq", "list", "--json", "--limit", "0", "--where", customer),
        ],
        "export of everything, raw": [
            *("dlq", "export", "--format", "raw", "--reveal", "--output", "-"),
        ],
    }


def run(letters: int, directory: Path) -> dict[str, Any]:
    """Fill a topic, run every command, and give the figures."""
    files = brokers.install(progress=console.print)
    with Broker(files, directory / "broker", heap_mb=256, full_jit=True) as broker:
        broker.create_topic(TOPIC, partitions=PARTITIONS)
        broker.create_topic(
            LETTERS_TOPIC, partitions=PARTITIONS, message_timestamp_type="LogAppendTime"
        )
        console.print(f"Producing {letters} dead letters.")
        begin_s = time.monotonic()
        filled = fill(broker.bootstrap_servers, LETTERS_TOPIC, PARTITIONS, letters)
        config = _settings(directory, broker.bootstrap_servers)
        figures: dict[str, Any] = {
            "letters": letters,
            "letter_bytes": filled.letter_bytes,
            "kinds": filled.kinds,
            "partitions": PARTITIONS,
            "load_average": round(os.getloadavg()[0], 1),
            "filled_in_s": round(time.monotonic() - begin_s, 1),
            "runs": [],
        }
        for name, arguments in commands(filled, letters).items():
            console.print(f"{name}: processor {' '.join(arguments)}")
            measure = quickest if name in SHORT else timed
            figures["runs"].append(asdict(measure(name, config, *arguments)))
    figures["load_average_after"] = round(os.getloadavg()[0], 1)
    figures["of_one_customer"] = letters // DIFFERENT + letters // RARE_EVERY
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    console.print(
        f"\n{figures['letters']} dead letters of {figures['letter_bytes']} bytes and "
        f"{figures['kinds']} kinds in {figures['partitions']} partitions; load average "
        f"{figures['load_average']} before, {figures['load_average_after']} after."
    )
    table = Table("what", "lines", "seconds", "CPU s", "letters/CPU s", "peak MiB")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in figures["runs"]:
        rate = 0.0 if row["name"] in SHORT else figures["letters"] / row["cpu_s"]
        table.add_row(
            row["name"],
            f"{row['lines']:,}",
            f"{row['seconds']:.2f}",
            f"{row['cpu_s']:.2f}",
            f"{rate:,.0f}" if rate else "",
            f"{row['peak_mb']:.0f}",
        )
    console.print(table)


def main(options: argparse.Namespace, directory: Path) -> None:
    """Measure, print, and write the figures where they are wanted."""
    figures = run(options.letters, directory)
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def _settings(directory: Path, servers: str) -> Path:
    target = {"inlet_id": "i", "dataset_id": "d"}
    path = directory / "processor.toml"
    path.write_text(
        toml(
            {
                "name": CONNECTOR,
                "kafka": {"bootstrap_servers": servers, "topics": [TOPIC]},
                "ims": {"client_id": "bench", "client_secret": "bench-secret"},
                "experience_platform": {
                    "org_id": ORG_ID,
                    "tenant": "acme",
                    "targets": {
                        name: {**target, "schema_id": f"https://ns.adobe.com/acme/schemas/{name}"}
                        for name in TARGETS
                    },
                },
            }
        )
    )
    return path
