"""A task as a child process: it lives under the supervisor and dies with it."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from processor.connector.assembly import Wiring, build
from processor.connector.graveyard import Names
from processor.connector.heartbeat import EVERY_S, Heartbeat, Waiting
from processor.connector.judge import Kind
from processor.connector.last_words import Slate, Written
from processor.connector.quarantine import Quarantined, Suspect
from processor.connector.task import Limits, Task, TaskFailed
from processor.connector.turns import IdleLoop
from processor.errors import Misconfigured
from processor.kafka.clients import admin_properties, consumer_properties
from processor.kafka.credentials import Credentials
from processor.kafka.origins import look_up
from processor.kafka.progress import Origin
from processor.kafka.source import Source, Subscription
from processor.record import TopicPartition
from processor.settings import Settings, inline_secrets
from processor.settings.kafka_properties import client_properties
from processor.telemetry import levels, logs
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

EXIT_DONE, EXIT_NOT_DRAINED, EXIT_SETTINGS, EXIT_DEFECT, EXIT_FAILED = 0, 1, 2, 3, 4
STOP = "stop"
INSTANCE_ID = "group.instance.id"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Release:
    """The order to let go what failed so."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Steering:
    """How a task is to work until it is told otherwise; also the order that tells it so.

    Attributes:
        share: its part of the connector's rates.
    """

    paused: bool
    share: float


@dataclass(frozen=True, slots=True)
class LogAt:
    """The order to log so."""

    level: int
    logger: str


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a life begins.

    Attributes:
        quarantined: records that are not decoded any more.
    """

    quarantined: Mapping[Suspect, Quarantined]
    steering: Steering


GC_THRESHOLDS = (50_000, 20, 100)
"""Decoding and mapping make many short-lived dictionaries; see the benchmark page."""


def run(
    settings: Settings,
    task_id: int,
    connection: Connection,
    slate: Slate,
    begin: Beginning,
) -> None:
    """Run one task and exit with its status; the entry point of the child process."""
    die_with_parent()
    # A terminal's Ctrl-C is the supervisor's to handle; so is a SIGTERM before we can obey it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.configure(settings.logging, secrets=inline_secrets(settings), who={"task": task_id})
    try:
        last_words = Written(slate, begin.quarantined)
        with asyncio.Runner(loop_factory=IdleLoop) as runner:
            status = runner.run(_task(settings, task_id, connection, last_words, begin.steering))
    except Misconfigured as error:
        log.error("The task cannot start.", cause=str(error))  # noqa: TRY400 - a sentence says it
        status = EXIT_SETTINGS
    except Exception as defect:  # noqa: BLE001 - said without its text, which may quote a record
        log.error("The task ended by a defect.", where=frames_of(defect))  # noqa: TRY400
        status = EXIT_DEFECT
    sys.exit(status)


def frames_of(defect: BaseException) -> list[str]:
    """Types and places of an exception, and of those in a group of exceptions."""
    where = [
        f"{type(defect).__name__} {frame}" for frame in traceback.format_tb(defect.__traceback__)
    ]
    if isinstance(defect, BaseExceptionGroup):
        where += [line for inner in defect.exceptions for line in frames_of(inner)]
    return where


def die_with_parent() -> None:
    """Have the kernel end this process when its parent's thread ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def _task(
    settings: Settings,
    task_id: int,
    connection: Connection,
    last_words: Written,
    steering: Steering,
) -> int:
    loop = asyncio.get_running_loop()
    task: Task | None = None

    def turn(on: bool) -> None:  # noqa: FBT001 - the valve's callback
        if task is not None:
            task.flow(on)

    def rest(partitions: Iterable[TopicPartition]) -> None:
        if task is not None:
            task.rest(partitions)

    client_id = f"{settings.name}-{task_id}"
    none_tolerated = settings.errors.tolerance == "none"
    wiring = Wiring(
        names=Names(settings.name, str(task_id), settings.dead_letter_topic),
        client_id=client_id,
        share=steering.share,
        turn=turn,
        rest=rest,
        last_words=last_words,
        stop_at_fault=(lambda passage: task.fail_at(passage) if task else None)
        if none_tolerated
        else None,
    )
    machine = build(settings, wiring)
    give_up_s = settings.errors.retry_timeout_s
    task = Task(
        machine,
        Limits(settings.delivery.drain_timeout_s, give_up_s if give_up_s >= 0 else None),
        paused=steering.paused,
    )
    source = Source(
        {
            **consumer_properties(settings.kafka, settings.group_id, client_id),
            **_own_instance_id(settings, task_id),
            **_without_own_topics(settings),
        },
        _subscription(settings),
        task,
        post=loop.call_soon_threadsafe,
        drain_timeout_s=settings.delivery.drain_timeout_s,
        origins=partial(_origins, settings, f"{client_id}-ids"),
        credentials=Credentials(settings.kafka, "consumer"),
    )
    loop.add_signal_handler(signal.SIGTERM, task.stop)
    _listen(connection, loop, task, last_words)
    beating = asyncio.create_task(_beat(task, task_id, connection))
    settle_garbage_collector()
    try:
        drained = await task.run(source)
    except TaskFailed as error:
        log.error("The task failed.", cause=str(error))  # noqa: TRY400 - a sentence says it
        return EXIT_FAILED
    else:
        return EXIT_DONE if drained else EXIT_NOT_DRAINED
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        _send(connection, _heartbeat(task, task_id))


def _origins(settings: Settings, client_id: str, topics: Collection[str]) -> Mapping[str, Origin]:
    """Ask with the password as it stands in its file now."""
    try:
        properties = admin_properties(settings.kafka, client_id)
    except Misconfigured as error:
        log.warning("Kafka was not asked for the ids of topics.", cause=str(error))
        return {}
    return look_up(properties, topics)


def settle_garbage_collector() -> None:
    """Keep what was loaded at the start out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _subscription(settings: Settings) -> Subscription:
    kafka = settings.kafka
    if kafka.topics_regex:
        pattern = kafka.topics_regex
        topics: tuple[str, ...] = (pattern if pattern.startswith("^") else f"^{pattern}",)
    else:
        topics = tuple(kafka.topics)
    return Subscription(topics, kafka.auto_offset_reset, kafka.on_offset_out_of_range)


def _own_instance_id(settings: Settings, task_id: int) -> dict[str, str]:
    """The ``group.instance.id`` of one task, if there is any: two with one would fence each other.

    Its number is appended, as to the client's id.
    """
    theirs = client_properties(settings.kafka, "consumer").get(INSTANCE_ID)
    return {INSTANCE_ID: f"{theirs}-{task_id}"} if theirs else {}


def _without_own_topics(settings: Settings) -> dict[str, str]:
    """Keep a regular expression from matching our dead letters, which would feed on themselves.

    Librdkafka takes ``topic.blacklist`` as regular expressions, separated by commas.
    """
    if not settings.kafka.topics_regex:
        return {}
    letters = settings.dead_letter_topic("\0").replace(".", "[.]").replace("\0", ".+")
    state = settings.state_topic.replace(".", "[.]")
    return {"topic.blacklist": f"^{letters}$,^{state}$"}


def _listen(
    connection: Connection, loop: asyncio.AbstractEventLoop, task: Task, last_words: Written
) -> None:
    """Obey the supervisor, and end at once when it is gone."""

    def listen() -> None:
        while True:
            try:
                order = connection.recv()
            except (EOFError, OSError):
                os._exit(128 + signal.SIGKILL)
            if order == STOP:
                loop.call_soon_threadsafe(task.stop)
            elif isinstance(order, Release) and (brake := task.machine.brake) is not None:
                loop.call_soon_threadsafe(brake.release, order.kind)
            elif isinstance(order, Steering):
                loop.call_soon_threadsafe(_steer, task, order)
            elif isinstance(order, LogAt):
                levels.set_level(order.logger, order.level)
            elif isinstance(order, Quarantined):
                last_words.quarantine(order)

    threading.Thread(target=listen, name="supervisor", daemon=True).start()


def _steer(task: Task, order: Steering) -> None:
    task.machine.share.part = order.share
    task.pause(on=order.paused)


async def _beat(task: Task, task_id: int, connection: Connection) -> None:
    """Send heartbeats until cancelled; ends only when the one under way is sent.

    Else it could overtake the last one, which says why the task failed.
    """
    while True:
        sending = asyncio.ensure_future(
            asyncio.to_thread(_send, connection, _heartbeat(task, task_id))
        )
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await sending
            raise
        await asyncio.sleep(EVERY_S)


def _heartbeat(task: Task, task_id: int) -> Heartbeat:
    machine = task.machine
    active = machine.pauses.active()
    held = {pause.reason for pause in active}
    for reason in machine.pauses.seen:
        machine.metrics.paused.labels(reason).set(reason in held)
    machine.note_token()
    waiting = tuple(Waiting(p.reason, p.message, p.of_setup) for p in active)
    holdings = machine.brake.holdings() if machine.brake is not None else ()
    metrics = machine.metrics.snapshot()
    return Heartbeat(task_id, task.shown, task.trace, waiting, metrics, holdings)


def _send(connection: Connection, beat: Heartbeat) -> None:
    try:
        connection.send(beat)
    except OSError:
        os._exit(128 + signal.SIGKILL)
