"""Adobe's own Kafka sink and ours: how fast, and what becomes of the records when something fails.

Both get the same messages on the same broker. Adobe's sink passes on JSON that is XDM already; ours
decodes Avro, maps, and checks as well. Each runs with one task.

    make head-to-head PLUGIN=DIR

DIR holds the jars of Adobe's connector. It is not published where build tools would find it: build
`adobe/experience-platform-streaming-connect` with its `./gradlew build`, and put the one jar
`streaming-connect-sink-*-java-*.jar` into a folder of its own.
"""

import argparse
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from rich.console import Console
from rich.table import Table

from processor.kafka.records import record_of
from processor.local import broker as brokers
from processor.local import registry as registries
from processor.local.broker import Broker
from processor.local.programs import SimulatorProcess
from processor.local.registry import Registry
from tests.bench.adobe_sink import CLIENT_SECRET, LARGE_BATCHES, AdobeSink
from tests.bench.load import Load
from tests.bench.measure import Sink, Span
from tests.bench.run import Bench, sink_process

EVENT = "pointsIssued"
FAULTS, RATES = "faults", "rates"
DIFFERENT, SEVERAL = 500, 4
RATE_S = 15.0
"""Longest that a rate is measured."""

OUTAGE_S, SETTLE_S, STILL_S = 10.0, 120.0, 12.0
"""How long a fault lasts; how long to wait for all records; and after how long without news not."""

RESTARTS = 2
"""As often somebody restarts a task that has failed, once the fault is over."""

OURS, ADOBES, ADOBES_LARGE, ADOBES_DLQ = (
    "ours",
    "Adobe's",
    "Adobe's, large batches",
    "Adobe's with DLQ",
)

console = Console(stderr=True, highlight=False, width=118)


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a program delivered at one latency.

    Attributes:
        a_request: messages in a request, on average.
        most_open: requests in flight at most.
    """

    program: str
    latency_ms: int
    records_per_s: float
    cpu_us_per_record: float
    a_request: float
    most_open: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the records of one run with a fault.

    Attributes:
        accepted: different records that were accepted.
        repeated: acceptances beyond the first of each.
        dead_lettered: records in the dead-letter topic.
        wrongly: dead letters of records that nothing was wrong with.
        nowhere: records that were neither accepted nor dead-lettered. While the task is RUNNING
            they are lost: it has passed them. A FAILED one would read them again.
        restarts: how often a failed task was restarted, which took a person.
        state: of the task when nothing moved any more.
    """

    fault: str
    program: str
    accepted: int
    repeated: int
    dead_lettered: int
    wrongly: int
    nowhere: int
    restarts: int
    state: str


def fate_of(
    fault: str,
    program: str,
    state: str,
    *,
    restarts: int,
    produced: Collection[str],
    bad: Collection[str],
    accepted: Collection[str],
    letters: Collection[str],
) -> Fate:
    """Compare by identity: what was produced, what of it is bad, what came where, repeats too."""
    arrived, buried = Counter(accepted), Counter(letters)
    return Fate(
        fault,
        program,
        accepted=len(arrived),
        repeated=arrived.total() - len(arrived),
        dead_lettered=buried.total(),
        wrongly=sum(count for name, count in buried.items() if name not in set(bad)),
        nowhere=len(set(produced) - set(arrived) - set(buried)),
        restarts=restarts,
        state=state,
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong.

    Attributes:
        script: faults of the simulator.
        lasts_s: seconds after which they end; 0: they stay.
        bad: whether they refuse records that stay refused.
    """

    name: str
    script: list[dict[str, Any]]
    lasts_s: float = OUTAGE_S
    bad: bool = False


def faults(bad: list[str]) -> list[Fault]:
    """The faults that are tried, with these records refused in two of them."""
    ever = "until_reset"
    refused = {"scope": "batch", "match": {"_id": bad}, "refuse": {"status": 400}, "count": ever}
    return [
        Fault("none", [], 0),
        Fault("429 for 10 s", [{"scope": "batch", "status": 429, "count": ever}]),
        Fault("503 for 10 s", [{"scope": "batch", "status": 503, "count": ever}]),
        Fault("500 for 10 s", [{"scope": "batch", "status": 500, "count": ever}]),
        Fault("one token refused (401)", [{"scope": "batch", "status": 401}], 0),
        Fault("IMS away for 10 s (503)", [{"scope": "ims", "status": 503, "count": ever}]),
        Fault(f"{len(bad)} refused, as documented", [refused], 0, bad=True),
        Fault(
            f"{len(bad)} refused, as seen in production",
            [refused, {"scope": "batch", "multi_status": {"key": "status"}, "count": ever}],
            0,
            bad=True,
        ),
    ]


class HeadToHead:
    """The parts, and both programs on them."""

    def __init__(
        self, directory: Path, broker: Broker, registry: Registry, adobe: AdobeSink
    ) -> None:
        self._directory = directory
        self._broker = broker
        self._registry = registry
        self._adobe = adobe

    def messages(self, simulator: SimulatorProcess) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """What ours makes of so many events, as it arrives; fills the topic ``events``.

        Returns:
            the messages, and the id of the event of each by its ``_id``.
        """
        topic = self._broker.create_topic("events")
        load = Load(EVENT, topic, self._registry.url)
        load.fill(self._broker.bootstrap_servers, topic, DIFFERENT, different=DIFFERENT)
        with self._bench(simulator.url, "messages").connector(topic) as process:
            process.wait_until(
                lambda: len(_accepted(simulator)) >= DIFFERENT,
                timeout_s=SETTLE_S,
                what="deliver the messages",
            )
        entries = simulator.accepted()
        return (
            [entry["message"] for entry in entries],
            {entry["_id"]: entry["event_id"] for entry in entries},
        )

    def rates(
        self, sink: Sink, messages: list[dict[str, Any]], count: int, latencies: list[int]
    ) -> Iterator[Rate]:
        """Each program at each latency, until its topic is empty or it ran for a while."""
        theirs = self._broker.create_topic("speed-xdm", SEVERAL)
        self._adobe.fill(theirs, messages, count)
        own = self._broker.create_topic("speed-capillary", SEVERAL)
        Load(EVENT, own, self._registry.url).fill(self._broker.bootstrap_servers, own, count)
        ours = self._bench(sink.url, "speed")
        for latency_ms in latencies:
            sink.reset(latency_ms=latency_ms)
            with ours.connector(own) as process:
                yield _rate(OURS, latency_ms, sink.watch_for(process.pid, count, RATE_S), sink)
            settings: tuple[tuple[str, dict[str, str]], ...]
            settings = ((ADOBES, {}), (ADOBES_LARGE, LARGE_BATCHES))
            for program, extra in settings:
                sink.reset(latency_ms=latency_ms)
                with self._adobe.connector(theirs, sink.url, **extra):
                    span = sink.watch_for(self._adobe.pid, count, RATE_S)
                    yield _rate(program, latency_ms, span, sink)

    def fates(
        self, simulator: SimulatorProcess, messages: list[dict[str, Any]], names: dict[str, str]
    ) -> Iterator[Fate]:
        """Each program under each fault; ``names`` has an event's id by its message's ``_id``."""
        bad = list(names)[::50]
        theirs = self._broker.create_topic("faults-xdm")
        self._adobe.fill(theirs, messages, len(messages))
        for number, fault in enumerate(faults(bad)):
            for program in (OURS, ADOBES, ADOBES_DLQ):
                run = f"fault-{number}-{program == ADOBES_DLQ:d}"
                simulator.reset()
                if fault.script:
                    simulator.faults(fault.script)
                with self._started(program, run, theirs, simulator.url) as (letters, state):
                    if fault.lasts_s:
                        time.sleep(fault.lasts_s)
                        simulator.faults_over()
                    self._settle(simulator, letters)
                    restarts = 0
                    while state() == "FAILED" and restarts < RESTARTS:
                        restarts += 1
                        self._adobe.restart()
                        self._settle(simulator, letters)
                    yield fate_of(
                        fault.name,
                        program,
                        state(),
                        restarts=restarts,
                        produced=names.values(),
                        bad=[names[entity_id] for entity_id in bad] if fault.bad else (),
                        accepted=_accepted(simulator),
                        letters=[_event_id(letter, names) for letter in self._read(letters)],
                    )

    @contextlib.contextmanager
    def _started(
        self, program: str, run: str, theirs: str, url: str
    ) -> Iterator[tuple[str, Callable[[], str]]]:
        """The program, its dead-letter topic, and how to ask for its task's state."""
        letters = self._broker.create_topic(f"{run}-{'ours' if program == OURS else 'adobe'}.dlq")
        if program == OURS:
            bench = self._bench(url, run, letters)
            with bench.connector("events") as process:
                yield letters, lambda: "RUNNING" if process.running else "ended"
        else:
            dead_letters = letters if program == ADOBES_DLQ else ""
            with self._adobe.connector(theirs, url, dead_letters=dead_letters):
                yield letters, self._adobe.task_state

    def _settle(self, simulator: SimulatorProcess, letters: str) -> None:
        """Wait until every record has ended, or nothing moves any more."""
        seen, since_s = -1, time.monotonic()
        begin_s = since_s
        while time.monotonic() < min(begin_s + SETTLE_S, since_s + STILL_S):
            time.sleep(0.5)
            now = len(set(_accepted(simulator))) + len(self._read(letters))
            if now != seen:
                seen, since_s = now, time.monotonic()

    def _read(self, topic: str) -> list[Message]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._broker.bootstrap_servers,
                "group.id": "head-to-head",
                "enable.auto.commit": False,
            }
        )
        try:
            end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
            consumer.assign([TopicPartition(topic, 0, 0)])
            read: list[Message] = []
            while len(read) < end:
                read += consumer.consume(end - len(read), timeout=10)
            return read
        finally:
            consumer.close()

    def _bench(self, url: str, run: str, letters: str = "") -> Bench:
        return Bench(
            self._directory / run, self._broker, self._registry, Sink(url), dead_letters=letters
        )


def _accepted(simulator: SimulatorProcess) -> list[str]:
    """The ids of the events that were accepted, as often as they were."""
    received = simulator.received(bodies=False)
    return [entry["event_id"] for entry in received if entry["accepted"]]


def _event_id(letter: Message, names: dict[str, str]) -> str:
    """The id of a dead letter's event: ours name it, Adobe's hold the message."""
    record = record_of(letter)
    for name, value in record.headers:
        if name == "processor.event.id" and value is not None:
            return value.decode()
    return names[json.loads(record.value or b"")["body"]["xdmEntity"]["_id"]]


def _rate(program: str, latency_ms: int, span: Span, sink: Sink) -> Rate:
    report = sink.report()
    return Rate(
        program,
        latency_ms,
        records_per_s=span.records_per_s,
        cpu_us_per_record=span.cpu_us_per_record,
        a_request=report["messages"] / max(1, report["requests"]),
        most_open=report["most_open"],
    )


def show_rates(rates: list[Rate]) -> None:
    """Print what was measured."""
    table = Table("program", "latency", "records/s", "CPU us/record", "a request", "in flight")
    for column in table.columns[1:]:
        column.justify = "right"
    for rate in rates:
        table.add_row(
            rate.program,
            f"{rate.latency_ms} ms",
            f"{rate.records_per_s:,.0f}",
            f"{rate.cpu_us_per_record:,.0f}",
            f"{rate.a_request:,.1f}",
            str(rate.most_open),
        )
    console.print(table)


def show_fates(fates: list[Fate]) -> None:
    """Print what became of the records; see `Fate` for the columns."""
    counts_of = ("accepted", "again", "dead letters", "wrongly", "nowhere", "restarts", "task")
    table = Table("fault", "program", *counts_of)
    for column in table.columns[2:-1]:
        column.justify = "right"
    for fate in fates:
        fault, program, *counts = asdict(fate).values()
        table.add_row(fault, program, *map(str, counts))
    console.print(table)


def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Start the parts, run everything, and give the figures."""
    with contextlib.ExitStack() as parts:
        say = console.print
        broker = parts.enter_context(
            Broker(brokers.install(progress=say), directory / "broker", heap_mb=256, full_jit=True)
        )
        registry = parts.enter_context(
            Registry(registries.install(progress=say), directory / "registry")
        )
        simulator = parts.enter_context(SimulatorProcess(directory / "simulator"))
        adobe = parts.enter_context(AdobeSink(broker, directory, options.plugin))
        both = HeadToHead(directory, broker, registry, adobe)
        messages, names = both.messages(simulator)
        fates: list[Fate] = []
        if options.only != RATES:
            for fate in both.fates(simulator, messages, names):
                say(f"{fate.fault}: {fate.program}, {fate.nowhere} nowhere")
                fates.append(fate)
            show_fates(fates)
        rates: list[Rate] = []
        if options.only != FAULTS:
            sink = parts.enter_context(sink_process(directory))
            for rate in both.rates(sink, messages, options.records, options.latencies):
                say(f"{rate.program} at {rate.latency_ms} ms: {rate.records_per_s:,.0f} records/s")
                rates.append(rate)
            show_rates(rates)
        told = CLIENT_SECRET in adobe.log
        say(f"Adobe's worker wrote the client secret to its log: {'yes' if told else 'no'}.")
        return {
            "records": DIFFERENT,
            "fates": [asdict(fate) for fate in fates],
            "rates": [asdict(rate) for rate in rates],
            "client_secret_in_adobes_log": told,
        }


def main() -> None:
    """Run, and write the figures."""
    parser = argparse.ArgumentParser(
        prog="make head-to-head",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--plugin", required=True, type=Path, metavar="DIR", help="see above")
    parser.add_argument("--only", choices=[FAULTS, RATES], help="one half of it")
    parser.add_argument("--records", default=300_000, type=int, help="for the rates")
    parser.add_argument("--latencies", default=[0, 20, 100], nargs="+", type=int, help="in ms")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    if not any(options.plugin.glob("*.jar")):
        parser.error(f"{options.plugin} holds no jar; see --help.")
    with tempfile.TemporaryDirectory(prefix="processor-bench-") as directory:
        figures = run(options, Path(directory))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
