"""The overview: does the connector carry records, how many, and if not, why."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from processor.admin.page.render import Pages
from processor.connector.status import (
    ConnectorState,
    ConnectorStatus,
    TaskState,
    TaskStatus,
    Worker,
)
from processor.settings import Settings
from processor.telemetry.scrape import Scrape

KEEP_S = 60.0
"""Rates are those of the last minute, as far as somebody looked then."""

EVERY_S = 1.0
SOON_S = 300.0
GOOD, WARN, BAD, CALM = "good", "warn", "bad", "calm"
TASK_TONES = {
    TaskState.RUNNING: GOOD,
    TaskState.PAUSED: WARN,
    TaskState.RESTARTING: WARN,
    TaskState.UNASSIGNED: CALM,
    TaskState.FAILED: BAD,
}
COUNTERS = {
    "consumed": "processor_records_consumed_total",
    "delivered": "processor_records_delivered_total",
    "dead_lettered": "processor_records_dead_lettered_total",
    "filtered": "processor_records_filtered_total",
}


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of this worker, in records."""

    topic: str
    number: int
    lag: float | None
    consumed: float
    delivered: float
    dead_lettered: float
    filtered: float
    in_flight: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Why tasks wait, once for all of them."""

    reason: str
    message: str
    of_setup: bool
    tasks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the overview shows.

    Attributes:
        tone: of the headline: ``good``, ``warn``, ``bad`` or ``calm``.
        advice: what to do about it; empty: nothing.
        rates: records a second over the last minute; `None` before two looks at it.
        token_s: seconds that the token has left; `None`: there is none.
        ceiling: of the concurrency, requests.
        codes: dead-lettered records of this worker by code, the most frequent first.
    """

    status: ConnectorStatus
    tone: str
    headline: str
    advice: str
    pauses: tuple[Pause, ...]
    workers: int
    rates: dict[str, float] | None
    totals: dict[str, float]
    lag: float
    in_flight: float
    token_s: float | None
    token_tone: str
    concurrency: float
    ceiling: int
    partitions: tuple[Partition, ...]
    codes: tuple[tuple[str, float], ...]


class FlowMeter:
    """Remembers the counters of the last minute, to tell how fast they grow."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, float]]] = deque()

    def rates(self, totals: dict[str, float], now_s: float) -> dict[str, float] | None:
        """How much a second each has grown; `None` when it was not looked at before."""
        while self._seen and now_s - self._seen[0][0] > KEEP_S:
            self._seen.popleft()
        if not self._seen or now_s - self._seen[-1][0] >= EVERY_S:
            self._seen.append((now_s, totals))
        then_s, then = self._seen[0]
        if now_s - then_s < EVERY_S:
            return None
        grown = {name: (totals[name] - then[name]) / (now_s - then_s) for name in totals}
        # A task that was started anew begins at nothing.
        return None if min(grown.values()) < 0 else grown


def overview_of(
    status: ConnectorStatus, scrape: Scrape, settings: Settings, meter: FlowMeter, now_s: float
) -> Overview:
    """What a worker says of itself, made ready to be read."""
    totals = {name: scrape.total(metric) for name, metric in COUNTERS.items()}
    pauses = _pauses(status)
    tone, headline, advice = _headline(status, pauses)
    token_s = scrape.only("processor_token_expires_in_seconds")
    codes = scrape.by("processor_records_dead_lettered_total", "code")
    return Overview(
        status=status,
        tone=tone,
        headline=headline,
        advice=advice,
        pauses=pauses,
        workers=len({task.worker_id for task in status.tasks}),
        rates=meter.rates(totals, now_s),
        totals=totals,
        lag=scrape.total("processor_consumer_lag"),
        in_flight=scrape.total("processor_records_in_flight"),
        token_s=token_s,
        token_tone=CALM if token_s is None else GOOD if token_s > SOON_S else WARN,
        concurrency=scrape.total("processor_concurrency_limit"),
        ceiling=settings.delivery.max_in_flight * settings.tasks_max,
        partitions=_partitions(scrape),
        codes=tuple(
            sorted(((code, n) for (code,), n in codes.items() if n), key=lambda c: (-c[1], c[0]))
        ),
    )


def _partitions(scrape: Scrape) -> tuple[Partition, ...]:
    lags = scrape.by("processor_consumer_lag", "topic", "partition")
    flights = scrape.by("processor_records_in_flight", "topic", "partition")
    counts = {name: scrape.by(metric, "topic", "partition") for name, metric in COUNTERS.items()}
    places = set(lags).union(flights, *counts.values())
    return tuple(
        Partition(
            topic=place[0],
            number=int(place[1]) if place[1].isdecimal() else 0,
            lag=lags.get(place),
            in_flight=flights.get(place, 0.0),
            **{name: found.get(place, 0.0) for name, found in counts.items()},
        )
        for place in sorted(places, key=lambda p: (p[0], len(p[1]), p[1]))
    )


def _pauses(status: ConnectorStatus) -> tuple[Pause, ...]:
    tasks: dict[tuple[str, str, bool], list[int]] = {}
    for task in status.tasks:
        for waiting in task.waiting:
            key = (waiting.reason, waiting.message, waiting.of_setup)
            tasks.setdefault(key, []).append(task.id)
    found = [Pause(*key, tuple(sorted(set(ids)))) for key, ids in tasks.items()]
    return tuple(sorted(found, key=lambda pause: (not pause.of_setup, pause.reason)))


def _headline(status: ConnectorStatus, pauses: Sequence[Pause]) -> tuple[str, str, str]:
    """Tone, sentence, and what to do."""
    tasks = status.tasks
    failed = [task for task in tasks if task.state is TaskState.FAILED]
    running = [task for task in tasks if task.state is TaskState.RUNNING]
    if status.state is ConnectorState.STOPPED:
        return CALM, "Stopped", "No task runs. Resume the connector to go on where it stopped."
    if status.state is ConnectorState.PAUSED:
        return WARN, "Paused by an operator", "Nothing is read until the connector is resumed."
    if failed:
        advice = "Read why below, mend it, and restart the task."
        return BAD, f"{len(failed)} of {len(tasks)} tasks failed", advice
    if pauses:
        return _waiting(tasks, of_setup=any(pause.of_setup for pause in pauses))
    if not running:
        return CALM, "Starting", "No task runs yet; this takes a few seconds."
    if len(running) < len(tasks):
        return WARN, f"{len(running)} of {len(tasks)} tasks run", "The others start or drain."
    return GOOD, "Carrying records", ""


def _waiting(tasks: Sequence[TaskStatus], *, of_setup: bool) -> tuple[str, str, str]:
    count = sum(1 for task in tasks if task.waiting)
    who = "" if count == len(tasks) else f"{count} of {len(tasks)} tasks "
    verb = "Waiting" if not who else "waits" if count == 1 else "wait"
    if of_setup:
        advice = "Below stands what to change; then it goes on by itself."
        return BAD, f"{who}{verb} for a change", advice
    return WARN, f"{who}{verb}", "It goes on by itself when what it waits for is back."


class OverviewPage:
    """Answers with the overview of a worker."""

    def __init__(self, worker: Worker, settings: Settings, pages: Pages) -> None:
        self._worker = worker
        self._settings = settings
        self._pages = pages
        self._meter = FlowMeter()

    async def answer(self, request: Request) -> Response:
        """The page; it asks for itself again every few seconds."""
        scrape = Scrape.read(self._worker.metrics())
        overview = overview_of(
            self._worker.status(), scrape, self._settings, self._meter, time.monotonic()
        )
        return self._pages.page(
            request, "overview.html", o=overview, title="Overview", task_tones=TASK_TONES
        )
