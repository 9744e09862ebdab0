"""Real parts for a scenario: broker, registry, simulator, connectors, with proxies in front."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

from confluent_kafka import Consumer, KafkaException, TopicPartition

from processor.connector.valve import most_in_flight
from processor.local.broker import Broker, BrokerFiles
from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from processor.local.programs import ConnectorProcess, SimulatorProcess
from processor.local.registry import Registry
from processor.settings import DeliverySettings
from tests.rig import readback
from tests.rig.history import Exit, History, Quiet, Scanned, Setup, Started
from tests.rig.load import SPOIL_IDENTITIES, Events, Load
from tests.rig.observer import Observer
from tests.rig.tcp_proxy import TcpProxy

ORG_ID = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
TARGETS = {"event": "none", "loyalty": "key", "profile": "key"}
"""Inlets and their ordering."""

DRAIN_S = 240.0
START_S = 120.0
STOP_S = 90.0
POLL_S = 0.05
TOKEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{86}(?![A-Za-z0-9_-])")
"""The simulator's access tokens: 64 random bytes in URL-safe base64."""

CUSTOMER = re.compile(r"[\w.+-]+@example\.(?:com|org|net)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a world is set up.

    Attributes:
        instances: connectors that always run; `tasks` of each.
        rate: records a second.
        session_ms: after so long without a sign of life a member is dead.
        latency_ms: of every answer of Experience Platform, so that something is in flight.
        gaps: part of the load in transactions, some of them aborted.
        settings: laid over the connector's tables, section by section.
    """

    seed: int = 0
    instances: int = 1
    tasks: int = 1
    partitions: int = 4
    rate: float = 150.0
    bad_share: float = 0.03
    poison: bool = True
    customers: int = 200
    session_ms: int = 6_000
    latency_ms: int = 50
    gaps: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Parts:
    """A broker and perhaps a registry with proxies in front; scenarios may share them.

    Args:
        registry: one that runs already; `None`: the load is JSON.
    """

    def __init__(
        self, directory: Path, files: BrokerFiles, registry: Registry | None = None
    ) -> None:
        proxy_port = free_port()
        self.broker = Broker(
            files,
            directory / "broker",
            advertised_port=proxy_port,
            properties={"group.min.session.timeout.ms": "1000"},
        )
        self.kafka_proxy = TcpProxy(self.broker.port, port=proxy_port)
        self.registry = registry
        self.registry_proxy = TcpProxy(registry.port) if registry is not None else None
        self._running = contextlib.ExitStack()

    @property
    def registry_url(self) -> str | None:
        """Of the registry, by way of its proxy."""
        if self.registry is None or self.registry_proxy is None:
            return None
        direct, proxy = f":{self.registry.port}/", f":{self.registry_proxy.port}/"
        return self.registry.url.replace(direct, proxy)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            running.enter_context(self.broker)
            running.enter_context(self.kafka_proxy)
            if self.registry_proxy is not None:
                running.enter_context(self.registry_proxy)
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()


class Instance:
    """A connector that is started, ended and started again; each life has a name of its own."""

    def __init__(
        self, name: str, directory: Path, settings: Mapping[str, Any], history: History
    ) -> None:
        self.name = name
        self.program = ConnectorProcess(directory, settings)
        self._history = history
        self._lives: list[tuple[str, int]] = []
        self._process: Process | None = None
        self._ending: tuple[str, float] | None = None

    @property
    def life(self) -> str:
        """The name of its present, or last, life."""
        return self._lives[-1][0] if self._lives else f"{self.name}.0"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def launch(self, tasks: int) -> None:
        """Start it, if it does not run, and return at once."""
        self.watch()
        if self.running:
            return
        log = self.program.log
        life = f"{self.name}.{len(self._lives) + 1}"
        self._lives.append((life, log.stat().st_size if log.exists() else 0))
        self._history.add(Started(instance=life, at_ms=now_ms(), tasks=tasks))
        self._process, self._ending = self.program.launch(), None

    def signal(self, number: signal.Signals, how: str) -> None:
        """Send a signal to its main process, and note what its exit comes from."""
        if self._process is not None and self.running:
            self._ending = self._ending or (how, now_ms())
            self._process.signal(number)

    def freeze(self, *, on: bool) -> None:
        """Stop every process of it where it is, or let them go on."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def watch(self) -> None:
        """Note that it has ended, if it has."""
        if self._process is not None and not self._process.running:
            how, since_ms = self._ending or ("died", now_ms())
            status = self._process.exit_status
            self._history.add(
                Exit(
                    instance=self.life,
                    at_ms=now_ms(),
                    code=-255 if status is None else status,
                    how=how,
                    since_ms=since_ms,
                )
            )
            self._process = None

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended.

        Raises:
            TimeoutError: it still runs.
        """
        if self._process is not None:
            self._process.wait(timeout_s)
        self.watch()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()

    def logs(self) -> Iterable[tuple[str, str]]:
        """Each life's name and log."""
        ends = [*(begin for _, begin in self._lives[1:]), None]
        for (life, begin), end in zip(self._lives, ends, strict=False):
            yield life, readback.tail(self.program.log, begin, end)


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
        self._directory = directory
        self._secrets = secrets
        self._scripts: dict[int, list[dict[str, Any]]] = {}
        settings = self._settings()
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
                cap=most_in_flight(delivery),
                messages=delivery.batch_max_records,
                request_bytes=delivery.batch_max_bytes,
                requests=delivery.max_in_flight,
                rss_mb=600.0,
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
                self.history,
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
        assert self.load is not None
        self.load.stop()
        self.launch()
        begin_s = time.monotonic()
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

    def lag(self) -> dict[str, int]:
        """Records that the group has not committed yet, by partition."""
        assert self.load is not None
        try:
            committed = self._committed()
        except KafkaException:
            return {"kafka": 1}
        return {
            f"{self.topic}-{partition}": max(0, last + 1 - committed.get(partition, 0))
            for partition, last in self.load.last.items()
        }

    def finish(self) -> History:
        """Stop the connectors, read everything back, and give the history."""
        for instance in self.instances:
            instance.signal(signal.SIGTERM, "term")
        for instance in self.instances:
            instance.wait(STOP_S)
        self.observer.stop()
        self.observer.look_last()
        servers = self.parts.broker.direct_servers
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
            }
        )
        try:
            places = [TopicPartition(self.topic, n) for n in range(self.plan.partitions)]
            return {p.partition: p.offset for p in consumer.committed(places, timeout=20)}
        finally:
            consumer.close()

    def _settings(self) -> dict[str, dict[str, Any]]:
        secret_files = []
        for name, secret in zip(("client_secret", "next_secret"), self._secrets, strict=True):
            path = self._directory / name
            path.write_text(secret)
            path.chmod(0o600)
            secret_files.append(str(path))
        tables: dict[str, Any] = {
            "kafka": {
                "bootstrap_servers": self.parts.broker.bootstrap_servers,
                "topics": [self.topic],
                "consumer": {
                    "session.timeout.ms": self.plan.session_ms,
                    "heartbeat.interval.ms": self.plan.session_ms // 6,
                },
            },
            "ims": {
                "token_url": f"http://{LOOPBACK}:{self.ims_proxy.port}/ims/token/v2",
                "client_id": "rig",
                "client_secret_file": secret_files[0],
                "client_secret_next_file": secret_files[1],
            },
            "experience_platform": {
                "endpoint": f"http://{LOOPBACK}:{self.aep_proxy.port}",
                "org_id": ORG_ID,
                "tenant": "acme",
                "targets": {
                    inlet: {
                        "inlet_id": inlet,
                        "dataset_id": f"dataset-of-{inlet}",
                        "schema_id": f"https://ns.adobe.com/acme/schemas/{inlet}",
                        "ordering": ordering,
                    }
                    for inlet, ordering in TARGETS.items()
                },
            },
            "delivery": {
                "linger_ms": 20,
                "batch_max_records": 50,
                "max_in_flight": 8,
                "request_timeout_s": 5,
                "drain_timeout_s": 15,
            },
            "errors": {
                "deadletterqueue_topic_replication_factor": 1,
                "retry_delay_max_s": 1,
            },
            "state": {"replication_factor": 1},
        }
        if (url := self.parts.registry_url) is not None:
            tables["schema_registry"] = {"url": url, "unknown_id_grace_s": 1}
        for section, more in self.plan.settings.items():
            tables[section] = {**tables.get(section, {}), **more}
        return {"name": self.name, "tasks_max": self.plan.tasks, **tables}


def now_ms() -> float:
    """The time now, in Unix milliseconds."""
    return time.time() * 1000


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
