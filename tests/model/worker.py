"""One instance of the processor in the model: the product's own parts, with doubles at the edges.

The machine is built by the product's own assembly; what would reach out is replaced there: HTTP
transports, the producer of dead letters, the registry, the clocks. The source runs without its
thread: the model makes its turns, and where it would wait for the loop, the loop runs.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from confluent_kafka import Consumer
from pydantic import SecretStr

from processor.connector import assembly
from processor.connector.assembly import Wiring
from processor.connector.graveyard import Names
from processor.connector.ledger import Ledger
from processor.connector.task import Limits, Task
from processor.experience_platform.client import Collection
from processor.experience_platform.ims import ImsTokens
from processor.kafka import membership, ownership, recreated, source
from processor.kafka.source import Source, Subscription
from processor.record import TopicPartition
from processor.settings import Settings
from processor.settings.models import (
    DeliverySettings,
    ErrorsSettings,
    ExperiencePlatformSettings,
    ImsSettings,
    KafkaSettings,
    SchemaRegistrySettings,
    TargetSettings,
)
from tests.model.adobe import (
    MOST_BYTES,
    MOST_MESSAGES,
    MOST_REQUESTS,
    REFRESH_EARLY_S,
    REQUESTS_A_SECOND,
    Adobe,
    Ims,
    Platform,
)
from tests.model.kafka import TOPIC, Client, Kafka, Lookup, Writer
from tests.model.kinds import RegistryDouble, shaping
from tests.virtual_time import VirtualLoop

DRAIN_S = 5.0
TARGETS = {"inlet-event": "event", "inlet-profile": "profile"}


def _target(name: str, ordering: str) -> TargetSettings:
    return TargetSettings(
        inlet_id=f"inlet-{name}", dataset_id=name, schema_id=name, ordering=cast("Any", ordering)
    )


SETTINGS = Settings(
    kafka=KafkaSettings(bootstrap_servers="nowhere:1", topics=[TOPIC]),
    schema_registry=SchemaRegistrySettings(url="http://nowhere", unknown_id_grace_s=5.0),
    ims=ImsSettings(
        client_id="client",
        client_secret=SecretStr("one"),
        client_secret_next=SecretStr("two"),
        refresh_early_s=REFRESH_EARLY_S,
    ),
    experience_platform=ExperiencePlatformSettings(
        org_id=f"{'A' * 24}@AdobeOrg",
        tenant="acme",
        targets={"event": _target("event", "none"), "profile": _target("profile", "key")},
    ),
    delivery=DeliverySettings(
        batch_max_records=MOST_MESSAGES,
        batch_max_bytes=MOST_BYTES,
        linger_ms=50,
        max_in_flight=MOST_REQUESTS,
        requests_per_second=REQUESTS_A_SECOND,
        messages_per_second=0,
        request_timeout_s=30.0,
        drain_timeout_s=DRAIN_S,
    ),
    errors=ErrorsSettings(retry_delay_max_s=10.0, systemic_window=12, systemic_min=4),
)


class Flag:
    """An event for which the source waits by letting the loop run."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float) -> bool:
        until_s = self._loop.time() + timeout
        while not self._set and self._loop.time() < until_s and not self._loop.is_running():
            self._loop.run_until_complete(asyncio.sleep(min(0.02, timeout)))
        return self._set


class NoThread:
    """A thread whose turns the model makes; at its end it makes the last one."""

    def __init__(self, *, target: Callable[[], None], **_: object) -> None:
        self.last: Callable[[], None] = lambda: None

    def start(self) -> None:
        return

    def join(self, _timeout_s: float) -> None:
        self.last()

    def is_alive(self) -> bool:
        return False


@contextmanager
def without_threads(loop: VirtualLoop) -> Iterator[None]:
    """The source's thread and clock are the model's."""

    def rest(_seconds: float) -> None:
        """The consumer's thread rests; nothing else of the model is held up."""

    doubles = SimpleNamespace(
        Event=partial(Flag, loop), Thread=NoThread, current_thread=threading.current_thread
    )
    with (
        patch.object(source, "threading", doubles),
        patch.object(membership, "threading", doubles),
        patch.object(recreated, "threading", doubles),
        patch.object(source, "time", SimpleNamespace(monotonic=loop.time)),
        patch.object(ownership, "time", SimpleNamespace(monotonic=loop.time, sleep=rest)),
    ):
        yield


class Worker:
    """An instance, from its start to its end.

    Args:
        wall: the wall clock, in seconds; it may jump.
    """

    def __init__(
        self, loop: VirtualLoop, kafka: Kafka, adobe: Adobe, who: str, wall: Callable[[], float]
    ) -> None:
        self.loop, self.kafka, self.who = loop, kafka, who
        self.registry = RegistryDouble()
        self.ims = Ims(adobe, who)
        self.platform = Platform(adobe, who, self.ims, epoch_of=self.epoch_of, targets=TARGETS)
        self.writer = Writer(kafka, who, epoch_of=self.epoch_of)
        self.ledger: Ledger | None = None
        self.begun = False
        loop.run_until_complete(self._start(wall))

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The product's own number of the assignment."""
        return None if self.ledger is None else self.ledger.epoch_of(partition)

    async def _start(self, wall: Callable[[], float]) -> None:
        loop = self.loop
        wiring = Wiring(
            names=Names("model", "0", lambda topic: f"{topic}.dlq"),
            client_id=self.who,
            share=1.0,
            turn=lambda on: self.task.flow(on),  # noqa: PLW0108 - there is no task yet
            rest=lambda partitions: self.task.rest(partitions),  # noqa: PLW0108
        )
        with self._edges(wall):
            self.machine = assembly.build(SETTINGS, wiring)
        self.ledger = self.machine.ledger
        self.task = Task(self.machine, Limits(DRAIN_S, None))
        self.source = Source(
            {"partition.assignment.strategy": "cooperative-sticky"},
            Subscription((TOPIC,), "earliest", "pause"),
            self.task,
            post=loop.call_soon_threadsafe,
            drain_timeout_s=DRAIN_S,
            origins=self.kafka.origins,
            open_consumer=lambda properties: cast("Consumer", self._client(properties)),
        )
        cast("Any", self.source)._thread.last = self._last_turn  # noqa: SLF001 - the model's seam
        self.running = asyncio.create_task(self.task.run(self.source))
        await asyncio.sleep(0.001)

    @contextmanager
    def _edges(self, wall: Callable[[], float]) -> Iterator[None]:
        """Let the assembly build with doubles where it would reach out, and in virtual time."""
        loop = self.loop
        parts: dict[str, Any] = {n: p for n, p in vars(assembly).items() if inspect.isclass(p)}
        doubles: dict[str, Any] = {
            name: partial(part, clock=loop.time)
            for name, part in parts.items()
            if "clock" in inspect.signature(part).parameters
        }
        doubles |= {
            "shaping": shaping,
            "ImsTokens": partial(
                ImsTokens,
                transport=self.ims,
                clock=loop.time,
                on_token=lambda _token: None,
            ),
            "Collection": partial(Collection, transport=self.platform),
            "DeadLetterWriter": lambda *_args, **_named: self.writer,
            "Topics": Lookup,
            "SchemaRegistry": lambda *_args, **_named: self.registry,
            "time": SimpleNamespace(time=wall, monotonic=loop.time),
        }
        with patch.multiple(assembly, **doubles):
            yield

    def _client(self, properties: dict[str, Any]) -> Client:
        self.client = Client(self.kafka, self.who, properties)
        return self.client

    # What its thread would do.

    def turn(self, budget: int = 0) -> None:
        """One turn of the source, which gets so many records at most."""
        inside = cast("Any", self.source)
        if not self.begun:
            self.begun = True
            inside._begin(inside._consumer())  # noqa: SLF001 - stepped, not run
        self.client.budget = budget
        inside._turn(self.client)  # noqa: SLF001
        self.client.budget = 0

    def _last_turn(self) -> None:
        if self.begun:
            cast("Any", self.source)._turn(self.client)  # noqa: SLF001

    @property
    def ended(self) -> bool:
        """Whether its task has ended."""
        return self.running.done()

    def kill(self) -> None:
        """End at once: nothing more is committed, written or heard."""
        self.writer.gone = True
        self.loop.run_until_complete(self._cancelled())

    async def _cancelled(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
