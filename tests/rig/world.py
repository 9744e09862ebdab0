"""Real parts for a scenario: broker, registry, simulator, connectors, with proxies in front."""

import contextlib
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

from confluent_kafka import Consumer, KafkaException, TopicPartition

from processor.connector.valve import most_in_flight
from processor.kafka.records import record_of
from processor.local.broker import NO_LOGS
from processor.local.programs import SimulatorProcess
from processor.settings import DeliverySettings
from tests.rig import readback
from tests.rig.history import History, Quiet, Scanned, Setup
from tests.rig.instance import Instance, now_ms
from tests.rig.load import SPOIL_IDENTITIES, Events, Load
from tests.rig.observer import Observer
from tests.rig.parts import TARGETS, Parts, Plan, Ways, settings_of
from tests.rig.tcp_proxy import TcpProxy

POLLED_AHEAD = 2_000
"""Records of four polls may come before the valve is seen to be closed."""

DRAIN_S = 240.0
START_S = 120.0
STOP_S = 90.0
POLL_S = 0.05
TOKEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{86}(?![A-Za-z0-9_-])")
"""The simulator's access tokens: 64 random bytes in URL-safe base64."""

CUSTOMER = re.compile(r"[\w.+-]+@example\.(?:com|org|net)")


class World:
    """One topic, its load, a simulator, and the connectors under test; started by ``with``.

    Args:
        name: of topic and connector; fresh in the broker.
        secrets: IMS secrets, the present one and the next; nobody may print them.
    """

    def __init__(
        self,
        parts: Parts,
        directory: Path,
        plan: Plan,
        *,
        name: str,
        secrets: tuple[str, str],
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.parts, self.plan, self.name = parts, plan, name
        self.topic = f"{name}.events"
        self.history = History(file=directory / "history.jsonl")
        self.simulator = SimulatorProcess(directory / "simulator")
        self.aep_proxy = TcpProxy(self.simulator.port, seed=plan.seed)
        self.ims_proxy = TcpProxy(self.simulator.port, seed=plan.seed)
        self._secrets = secrets
        self._scripts: dict[int, list[dict[str, Any]]] = {}
        ways = Ways(
            topic=self.topic,
            aep_port=self.aep_proxy.port,
            ims_port=self.ims_proxy.port,
            secret_files=(
                _secret_file(directory / "client_secret", secrets[0]),
                _secret_file(directory / "next_secret", secrets[1]),
            ),
        )
        settings = settings_of(name, parts, plan, ways)
        self.group = f"connect-{name}"
        self.instances = [
            Instance(
                f"connector-{number}", directory / f"connector-{number}", settings, self.history
            )
            for number in range(1, plan.instances + 2)
        ]
        """The last one is a spare, which runs only when a fault lets it join."""
        delivery = DeliverySettings(**settings["delivery"])
        self.history.add(
            Setup(
                group=self.group,
                topics=[self.topic],
                ordered=[inlet for inlet, ordering in TARGETS.items() if ordering == "key"],
                tasks=plan.tasks,
                cap=most_in_flight(delivery) + 2 * POLLED_AHEAD,
                messages=delivery.batch_max_records,
                request_bytes=delivery.batch_max_bytes,
                requests=delivery.max_in_flight,
                rss_mb=600.0,
                drain_s=delivery.drain_timeout_s,
            )
        )
        self.events: Events | None = None
        self.load: Load | None = None
        self.observer = Observer(self)
        self._running = contextlib.ExitStack()

    @property
    def steady(self) -> list[Instance]:
        """The connectors that always run."""
        return self.instances[:-1]

    @property
    def spare(self) -> Instance:
        return self.instances[-1]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            running.callback(self.history.close)
            broker = self.parts.broker
            broker.create_topic(self.topic, self.plan.partitions)
            running.enter_context(self.simulator)
            running.enter_context(self.aep_proxy)
            running.enter_context(self.ims_proxy)
            self.script(0, [])
            registry = self.parts.registry
            self.events = Events(
                self.topic,
                registry.url if registry is not None else None,
                seed=self.plan.seed,
                bad_share=self.plan.bad_share,
                poison=self.plan.poison,
                customers=self.plan.customers,
            )
            self.load = Load(
                broker.direct_servers,
                self.topic,
                self.events,
                rate=self.plan.rate,
                gaps=self.plan.gaps,
            )
            for instance in self.instances:
                running.callback(instance.close)
            self.observer.start()
            running.callback(self.observer.stop)
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def script(self, number: int, faults: list[dict[str, Any]]) -> None:
        """Let the simulator do this for the fault of that number, beside what else is on."""
        self._scripts[number] = faults
        steady = [
            {"scope": "batch", "count": "until_reset", "latency_ms": self.plan.latency_ms},
            *SPOIL_IDENTITIES,
        ]
        posted = [*steady, *(fault for of_one in self._scripts.values() for fault in of_one)]
        self.simulator.faults(posted, instead=True)

    def unscript(self, number: int) -> None:
        """End what the simulator does for that fault."""
        if self._scripts.pop(number, None) is not None:
            self.script(0, [])

    def launch(self) -> None:
        """Start the steady connectors that do not run."""
        for instance in self.steady:
            instance.launch(self.plan.tasks)

    def watch(self) -> None:
        """Note which connectors have ended."""
        for instance in self.instances:
            instance.watch()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float, *, what: str = "") -> bool:
        """Watch until something is true; whether it came true in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.watch()
            if time.monotonic() > deadline_s:
                if what:
                    raise TimeoutError(f"not within {timeout_s:g} s: {what}")
                return False
            time.sleep(POLL_S)
        return True

    def wait_ready(self) -> None:
        """Wait until every steady connector is ready."""
        self.wait_for(
            lambda: all(i.running and i.program.readyz()[0] == 200 for i in self.steady),
            START_S,
            what="every connector is ready",
        )

    def quiet(self, timeout_s: float = DRAIN_S) -> bool:
        """Stop the load, let everything drain, and note whether it did."""
        load = self.load
        assert load is not None
        begin_s = time.monotonic()
        self.launch()
        load.only_good()
        self.wait_for(
            lambda: load.acknowledged_bad and not any(self.lag(load.last_bad).values()), timeout_s
        )
        load.stop()
        drained = self.wait_for(lambda: not any(self.lag().values()), timeout_s)
        ready = self.wait_for(
            lambda: all(i.running and i.program.readyz()[0] == 200 for i in self.steady), START_S
        )
        self.history.add(
            Quiet(
                at_ms=now_ms(),
                drained=drained,
                waited_s=time.monotonic() - begin_s,
                lag={} if drained else self.lag(),
            )
        )
        self.observer.look()
        return drained and ready

    def lag(self, upto: Mapping[int, int] | None = None) -> dict[str, int]:
        """Records that the group has not committed yet, by partition: all, or up to an offset."""
        assert self.load is not None
        last = self.load.last if upto is None else upto
        try:
            committed = self._committed()
        except KafkaException:
            return {"kafka": 1}
        return {
            f"{self.topic}-{partition}": max(0, offset + 1 - committed.get(partition, 0))
            for partition, offset in dict(last).items()
        }

    def finish(self) -> History:
        """Stop the connectors, read everything back, and give the history."""
        for instance in self.instances:
            instance.signal(signal.SIGTERM, "term")
        for instance in self.instances:
            instance.wait(STOP_S)
        self.observer.stop()
        self.observer.look_last()
        assert self.load is not None
        servers = self.parts.broker.direct_servers
        for message in readback.messages(servers, self.topic, aborted_too=True):
            self.history.add(self.load.produced(record_of(message)))
        letters = f"{self.topic}.dlq"
        self.history.add(*readback.letters(servers, letters))
        self.history.add(*readback.commits(servers, self.group))
        self._scan("headers of dead letters", readback.texts_of(servers, letters))
        self._scan("metrics and states", self.observer.text())
        for instance in self.instances:
            for life, log in instance.logs():
                self.history.add(*readback.log_rows(life, log))
                self._scan(f"log of {life}", log)
        return self.history

    def _scan(self, where: str, text: str) -> None:
        found = readback.leaks(text, self._secrets, _forms)
        found += ["an access token"] if TOKEN.search(text) else []
        found += ["a customer's address"] if CUSTOMER.search(text) else []
        self.history.add(Scanned(where=where, bytes=len(text), leaks=found))

    def _committed(self) -> dict[int, int]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.parts.broker.direct_servers,
                "group.id": self.group,
                "enable.auto.commit": False,
            },
            logger=NO_LOGS,
        )
        try:
            places = [TopicPartition(self.topic, n) for n in range(self.plan.partitions)]
            return {p.partition: p.offset for p in consumer.committed(places, timeout=20)}
        finally:
            consumer.close()


def _secret_file(path: Path, secret: str) -> Path:
    path.write_text(secret)
    path.chmod(0o600)
    return path


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
