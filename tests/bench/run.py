"""How fast, at what cost: the connector and a floor under it, in one run on one machine.

Real broker, real schema registry, a sink that only counts. Everything of the connector is on
(decoding, mapping, gate, ledger, order, metrics); only the rate limits are off, because they
would be measured instead. Throughput is taken between 20 % and 95 % of the records, so start
and end do not count. A run whose sink used more than 80 % of a core is marked void.
"""

import argparse
import contextlib
import json
import platform
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from processor.local import broker as brokers
from processor.local import registry as registries
from processor.local.broker import Broker
from processor.local.ports import LOOPBACK, free_port, is_listening
from processor.local.process import Process
from processor.local.programs import ConnectorProcess, clean_environment
from processor.local.registry import Registry
from tests.bench import letters, mapping
from tests.bench.crowding import Crowded, compare_crowd, told_by
from tests.bench.load import Load
from tests.bench.measure import Sink, own_cpu_s, peak_mb
from tests.bench.ordering import DRAWN, IN_TURN, PARTITIONS_ORDERED, Ordered, compare_orderings
from tests.bench.sink import MARKER

PARTITIONS = 4
TARGET = "event"
RUN_TIMEOUT_S = 300.0
START_TIMEOUT_S = 60.0
VOID_ABOVE = 0.8
SATURATION_S = 2.0
ORG_ID = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"

console = Console(stderr=True, highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Result:
    """One run: a program at one latency.

    Attributes:
        again: messages that the sink got more than once.
        elsewhere: records that ended otherwise than delivered.
    """

    program: str
    latency_ms: int
    records_per_s: float
    cpu_us_per_record: float
    cores: float
    peak_mb: float
    peak_sum_mb: float
    sink_cores: float
    most_open: int
    again: int
    elsewhere: int

    @property
    def void(self) -> bool:
        return self.sink_cores > VOID_ABOVE


@dataclass(frozen=True, slots=True)
class Delays:
    """A paced run: from the record's production to its acceptance, in milliseconds."""

    program: str
    rate: int
    messages: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Bench:
    """The parts, and how each program is started on them."""

    def __init__(
        self,
        directory: Path,
        broker: Broker,
        registry: Registry,
        sink: Sink,
        *,
        dead_letters: str = "",
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._dead_letters = dead_letters
        self._broker = broker
        self._registry = registry
        self._sink = sink
        self._numbers = iter(range(1, 1000))

    @contextlib.contextmanager
    def connector(self, topic: str, ordering: str = "none") -> Iterator[Process]:
        number = next(self._numbers)
        secret = self._directory / "client_secret"
        secret.write_text("bench-secret")
        settings = {
            "name": f"{self._directory.name}-{number}",
            "kafka": {"bootstrap_servers": self._broker.bootstrap_servers, "topics": [topic]},
            "schema_registry": {"url": self._registry.url},
            "ims": {
                "token_url": f"{self._sink.url}/ims/token/v2",
                "client_id": "bench",
                "client_secret_file": str(secret),
            },
            "experience_platform": {
                "endpoint": self._sink.url,
                "org_id": ORG_ID,
                "tenant": "acme",
                "targets": {
                    TARGET: {
                        "inlet_id": TARGET,
                        "dataset_id": "6512bd43d9caa6e02c990b01",
                        "schema_id": "https://ns.adobe.com/acme/schemas/capillary-event",
                        "ordering": ordering,
                    }
                },
            },
            "delivery": {"requests_per_second": 0, "messages_per_second": 0},
            "errors": {
                "deadletterqueue_topic_replication_factor": 1,
                **(
                    {"deadletterqueue_topic_name": self._dead_letters} if self._dead_letters else {}
                ),
            },
            "state": {"replication_factor": 1},
        }
        program = ConnectorProcess(self._directory / f"connector-{number}", settings)
        self.admin_port = program.port
        process = program.launch()
        try:
            yield process
        finally:
            self.ended_elsewhere = _ended_elsewhere(program)
            process.terminate(60)
            program.close()

    @contextlib.contextmanager
    def floor(self, topic: str) -> Iterator[Process]:
        number = next(self._numbers)
        process = python(
            self._directory / f"floor-{number}.log",
            "tests.bench.floor",
            *("--bootstrap-servers", self._broker.bootstrap_servers, "--topic", topic),
            *("--url", f"{self._sink.url}/collection/batch/{TARGET}"),
        )
        try:
            yield process
        finally:
            self.ended_elsewhere = 0
            process.close()

    def throughput(self, program: str, topic: str, count: int, latency_ms: int) -> Result:
        self._sink.reset(latency_ms=latency_ms)
        with self._start(program, topic) as process:
            span = self._sink.watch(process.pid, count, lambda: process.running, RUN_TIMEOUT_S)
            largest, added_up = peak_mb(process.pid)
        report = self._sink.report()
        return Result(
            program,
            latency_ms,
            records_per_s=span.records_per_s,
            cpu_us_per_record=span.cpu_us_per_record,
            cores=span.cores,
            peak_mb=largest,
            peak_sum_mb=added_up,
            sink_cores=span.sink_cores,
            most_open=report["most_open"],
            again=report["messages"] - count,
            elsewhere=self.ended_elsewhere,
        )

    def in_order(self, ordering: str, topic: str, count: int, latency_ms: int) -> Ordered:
        """A run with an order to keep, or none; the sink looks at it in both."""
        self._sink.reset(latency_ms=latency_ms, order=True)
        with self.connector(topic, ordering) as process:
            span = self._sink.watch(process.pid, count, lambda: process.running, RUN_TIMEOUT_S)
        report = self._sink.report()
        return Ordered(
            ordering,
            latency_ms,
            records_per_s=span.records_per_s,
            sink_cores=span.sink_cores,
            again=report["messages"] - count,
            elsewhere=self.ended_elsewhere,
            **report["order"],
        )

    def crowded(self, topic: str, count: int, latency_ms: int, crowd: bool) -> Crowded:
        """A run of the connector with a crowd at its admin server, or without."""
        self._sink.reset(latency_ms=latency_ms)
        log = self._directory / f"crowd-{next(self._numbers)}.log"
        with self.connector(topic) as process, contextlib.ExitStack() as stack:
            if crowd:
                arguments = ("--port", str(self.admin_port))
                gathered = python(log, "tests.bench.crowd", *arguments)
                stack.callback(gathered.close)
            begin_s, used_s = time.monotonic(), own_cpu_s(process.pid)
            span = self._sink.watch(process.pid, count, lambda: process.running, RUN_TIMEOUT_S)
            used_s, took_s = own_cpu_s(process.pid) - used_s, time.monotonic() - begin_s
            answered = told_by(gathered) if crowd else {}
        return Crowded(crowd, span.records_per_s, span.sink_cores, used_s / took_s, answered)

    def paced(self, program: str, topic: str, load: Load, rate: int, duration_s: float) -> Delays:
        """Delays at a steady rate, after a second's worth that is not counted."""
        servers = self._broker.bootstrap_servers
        self._sink.reset()
        with self._start(program, topic) as process:
            self._await(process, load.pace(servers, topic, rate, 1.0))
            self._sink.reset(sample=True)
            count = load.pace(servers, topic, rate, duration_s)
            self._await(process, count)
        report = self._sink.report()
        return Delays(
            program, rate, report["delays"], report["p50_ms"], report["p95_ms"], report["p99_ms"]
        )

    def _start(self, program: str, topic: str) -> contextlib.AbstractContextManager[Process]:
        start: dict[str, Callable[[str], contextlib.AbstractContextManager[Process]]]
        start = {"connector": self.connector, "floor": self.floor}
        return start[program](topic)

    def _await(self, process: Process, count: int) -> None:
        process.wait_until(
            lambda: self._sink.report()["messages"] >= count,
            timeout_s=START_TIMEOUT_S,
            what=f"deliver {count} messages",
        )


def _ended_elsewhere(program: ConnectorProcess) -> int:
    """Records that were dead-lettered or filtered."""
    metrics = program.metrics()
    names = {"processor_records_dead_lettered_total", "processor_records_filtered_total"}
    return int(sum(value for (name, _), value in metrics.items() if name in names))


def python(log: Path, module: str, *arguments: str) -> Process:
    command = [sys.executable, "-m", module, *arguments]
    root = Path(__file__).parents[2]
    return Process(module, command, log=log, environment=clean_environment(), directory=root)


@contextlib.contextmanager
def sink_process(directory: Path) -> Iterator[Sink]:
    """The sink on a free port, as a process of its own."""
    port = free_port()
    log = directory / "sink.log"
    with contextlib.closing(python(log, "tests.bench.sink", "--port", str(port))) as serving:
        serving.wait_until(lambda: is_listening(port), timeout_s=START_TIMEOUT_S, what="listen")
        yield Sink(f"http://{LOOPBACK}:{port}")


def saturation(port: int) -> float:
    """Messages a second that the sink takes from one client that does nothing else."""
    body = (MARKER + b"x" * 1_100) * 500
    head = f"POST /collection/batch/x HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    requests = 0
    begin_s = time.monotonic()
    with socket.create_connection((LOOPBACK, port)) as connection:
        answers = connection.makefile("rb")
        while time.monotonic() < begin_s + SATURATION_S:
            connection.sendall(head + body)
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)
            requests += 1
    return requests * 500 / (time.monotonic() - begin_s)


def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Start the parts, run everything, and give the figures."""
    with contextlib.ExitStack() as parts:
        say = console.print
        files = brokers.install(progress=say)
        broker = parts.enter_context(
            Broker(files, directory / "broker", heap_mb=256, full_jit=True)
        )
        registry = parts.enter_context(
            Registry(registries.install(progress=say), directory / "registry")
        )
        sink = parts.enter_context(sink_process(directory))
        bench = Bench(directory, broker, registry, sink)
        if options.crowd:
            return compare_crowd(options, bench.crowded, broker, registry, console)
        if options.ordering:
            return compare_orderings(options, bench.in_order, broker, registry, console)
        topic = broker.create_topic("bench", PARTITIONS)
        load = Load(options.event, topic, registry.url)
        say(f"Producing {options.records} {options.event} records.")
        load.fill(broker.bootstrap_servers, topic, options.records)
        figures: dict[str, Any] = {
            "machine": {"python": platform.python_version(), "cores": len(_cores())},
            "event": options.event,
            "records": options.records,
            "record_bytes": load.size_bytes,
            "limits": "requests_per_second and messages_per_second are off",
            "sink_messages_per_s": round(saturation(sink.port)),
        }
        results, delays = [], []
        for latency_ms in options.latencies:
            for number in range(options.runs):
                for program in options.programs:
                    say(f"{program} at {latency_ms} ms, run {number + 1} of {options.runs}")
                    results.append(bench.throughput(program, topic, options.records, latency_ms))
        for program in options.programs if options.paced_rate else ():
            say(f"{program} at {options.paced_rate} records/s for {options.paced_s:g} s")
            quiet = broker.create_topic(f"paced-{program}", PARTITIONS)
            delays.append(bench.paced(program, quiet, load, options.paced_rate, options.paced_s))
        figures["runs"] = [{**asdict(result), "void": result.void} for result in results]
        figures["delays"] = [asdict(delay) for delay in delays]
        figures["ratios"] = ratios(results)
        show(figures, results, delays)
        return figures


def ratios(results: list[Result]) -> dict[str, dict[str, float | None]]:
    """The connector's medians over the floor's, by latency.

    `None` for CPU: the floor's span was shorter than a tick of the clock that /proc counts with.
    """
    found: dict[str, dict[str, float | None]] = {}
    for latency_ms in sorted({result.latency_ms for result in results}):
        at = {
            program: [r for r in results if (r.program, r.latency_ms) == (program, latency_ms)]
            for program in ("connector", "floor")
        }
        if all(at.values()):
            speed, cost = (
                [statistics.median(getattr(r, name) for r in at[p]) for p in ("connector", "floor")]
                for name in ("records_per_s", "cpu_us_per_record")
            )
            found[f"{latency_ms} ms"] = {
                "speed": round(speed[0] / speed[1], 3),
                "cpu": round(cost[0] / cost[1], 3) if cost[1] else None,
            }
    return found


def show(figures: dict[str, Any], results: list[Result], delays: list[Delays]) -> None:
    """Print the figures as tables."""
    console.print(
        f"\n{figures['records']} {figures['event']} records of {figures['record_bytes']} bytes, "
        f"one task; the limits are off; the sink alone takes {figures['sink_messages_per_s']}/s."
    )
    table = Table("program", "latency", "records/s", "CPU us/record", "cores", "peak MiB", "sink")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_column("again", justify="right")
    table.add_column("elsewhere", justify="right")
    for r in results:
        table.add_row(
            r.program,
            f"{r.latency_ms} ms",
            f"{r.records_per_s:,.0f}",
            f"{r.cpu_us_per_record:.1f}",
            f"{r.cores:.2f}",
            f"{r.peak_mb:.0f} ({r.peak_sum_mb:.0f})",
            f"{r.sink_cores:.0%}" + (" void" if r.void else ""),
            str(r.again),
            str(r.elsewhere),
        )
    console.print(table)
    for name, ratio in figures["ratios"].items():
        console.print(
            f"connector over floor at {name}: {ratio['speed']:.2f} of its speed, "
            + (f"{ratio['cpu']:.1f} times its CPU" if ratio["cpu"] else "CPU too little to compare")
        )
    for delay in delays:
        console.print(
            f"{delay.program} at {delay.rate}/s, produced to accepted: p50 {delay.p50_ms} ms, "
            f"p95 {delay.p95_ms} ms, p99 {delay.p99_ms} ms ({delay.messages} messages)"
        )


def _cores() -> list[str]:
    return [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "processor" in line]


def options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--records", default=200_000, type=int, help="records in the topic")
    parser.add_argument(
        "--event", default="pointsIssued", choices=["pointsIssued", "transactionAdded"]
    )
    parser.add_argument(
        "--latencies", default=[0, 20, 100], nargs="+", type=int, help="of the sink, in ms"
    )
    parser.add_argument("--runs", default=1, type=int, help="of each program at each latency")
    parser.add_argument(
        "--programs", default=["floor", "connector"], nargs="+", choices=["floor", "connector"]
    )
    parser.add_argument("--paced-rate", default=1_500, type=int, help="records/s; 0: no paced run")
    parser.add_argument("--paced-s", default=15.0, type=float, help="length of the paced run")
    parser.add_argument(
        "--ordering",
        action="store_true",
        help="instead: ordering key against none, with 1,000 keys at 100 ms, and whether it holds",
    )
    parser.add_argument(
        "--crowd",
        action="store_true",
        help="instead: what 200 clients, slow ones and a body of 100 MB cost; RUNS pairs",
    )
    parser.add_argument(
        "--partitions", default=PARTITIONS_ORDERED, type=int, help="of --ordering's topic"
    )
    parser.add_argument(
        "--customers",
        default=IN_TURN,
        choices=[IN_TURN, DRAWN],
        help="of --ordering: each as often as the others, or by chance",
    )
    parser.add_argument(
        "--letters",
        default=0,
        type=int,
        help="instead: how fast so many dead letters are looked at, such as 1000000",
    )
    parser.add_argument(
        "--steps-s",
        default=0.2,
        type=float,
        help="seconds for each step of a record, measured first as `make steps` does; 0: not",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser.parse_args()


def main() -> None:
    """Run, and write the figures."""
    chosen = options()
    with tempfile.TemporaryDirectory(prefix="processor-bench-") as directory:
        if chosen.letters:
            letters.main(chosen, Path(directory))
            return
        if chosen.steps_s and not (chosen.ordering or chosen.crowd):
            mapping.measured(chosen.steps_s)
        figures = run(chosen, Path(directory))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
