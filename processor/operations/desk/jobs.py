"""Replays that are planned and run from the page: each in a child process, one at a time.

A plan lives in this worker's memory until it is executed or forgotten; everything that happens
after that stands in the state topic.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from processor.errors import Misconfigured, ProcessorError, TryAgain
from processor.kafka.letter import now_rfc3339
from processor.operations.desk import replays
from processor.operations.desk.apart import Desk, Hand, Work
from processor.operations.desk.replays import Begun, Execution, Named, Planned, Wanted
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

PLANS = 8
"""So many are remembered; an older one is forgotten when another is made."""

PLAN_S = 600.0
"""A plan of a million letters takes about two minutes."""


class Stage(StrEnum):
    """How far a plan is."""

    LOOKING = "looking"
    READY = "ready"
    FAILED = "failed"
    BEGUN = "begun"
    ENDED = "ended"


@dataclass(slots=True)
class Draft:
    """A replay from being planned to its end.

    Attributes:
        looked_at: letters that were rehearsed so far.
        planned: what it would come to, once that is known.
        problem: why it failed; a sentence.
        replay_id: once it has begun.
        result: as ``dlq replay --execute --json`` prints it, once it has ended.
    """

    id: str
    wanted: Wanted
    created: str
    stage: Stage = Stage.LOOKING
    looked_at: int = 0
    planned: Planned | None = None
    problem: str = ""
    replay_id: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def count(self) -> int:
        """Letters of the plan."""
        return self.planned.plan.chosen.count if self.planned is not None else 0

    @property
    def at_work(self) -> bool:
        """Whether a process is at work on it."""
        return self.stage in (Stage.LOOKING, Stage.BEGUN)


class Busy(ProcessorError):
    """Another replay is planned or run on this worker now."""


class Jobs:
    """Plans and runs replays of this worker; to be used from one event loop, on the main thread.

    Args:
        desk: gives the child processes.
        drain_s: how long a replay may take to let end what is on its way.
    """

    def __init__(self, desk: Desk, *, drain_s: float) -> None:
        self._desk = desk
        self._drain_s = drain_s
        self._drafts: dict[str, Draft] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="replay")
        self._tasks: set[asyncio.Task[None]] = set()
        self._children: set[Hand] = set()
        self._closed = False

    def find(self, draft_id: str) -> Draft | None:
        """A plan by its id; `None` when it is not known, or not any more."""
        return self._drafts.get(draft_id)

    def of_replay(self, replay_id: str) -> Draft | None:
        """The plan that has become this replay, if this worker runs or ran it."""
        return next((d for d in self._drafts.values() if d.replay_id == replay_id), None)

    def plan(self, wanted: Wanted) -> Draft:
        """Begin to plan.

        Raises:
            Busy: something is planned already.
        """
        self._require_open()
        if any(draft.stage is Stage.LOOKING for draft in self._drafts.values()):
            raise Busy("Another replay is being planned; try again when that is done.")
        draft = Draft(secrets.token_hex(8), wanted, now_rfc3339())
        self._forget()
        self._drafts[draft.id] = draft
        self._begin(draft, replays.plan, wanted, timeout_s=PLAN_S)
        return draft

    def execute(self, draft: Draft, count: int, by: str) -> None:
        """Begin to replay what was planned; said twice, it is done once.

        Args:
            draft: the plan.
            count: letters that whoever wants it says there are.
            by: who wants it.

        Raises:
            Busy: another replay runs on this worker.
            Misconfigured: the plan is not ready, empty, or of another number of letters.
        """
        if draft.stage in (Stage.BEGUN, Stage.ENDED):
            return
        if draft.stage is not Stage.READY or draft.planned is None:
            raise Misconfigured("This plan is not ready.", mend="Make another one.")
        if not draft.count or count != draft.count:
            raise Misconfigured(
                f"The plan holds {draft.count} dead letters, and {count} were confirmed. "
                "Nothing was sent.",
                mend="Confirm the number that the plan holds.",
            )
        self._require_free()
        execution = Execution(draft.planned.plan, draft.wanted.allow_stale, by)
        log.warning("A replay was begun on the page.", who=by, letters=draft.count, plan=draft.id)
        draft.stage, draft.looked_at = Stage.BEGUN, 0
        self._begin(draft, replays.execute, execution, timeout_s=None)

    def resume(self, replay_id: str, by: str) -> Draft:
        """Go on with a replay that did not end.

        Raises:
            Busy: another replay runs on this worker.
        """
        running = self.of_replay(replay_id)
        if running is not None and running.at_work:
            return running
        self._require_free()
        log.warning("A replay was gone on with on the page.", who=by, replay=replay_id)
        draft = Draft(secrets.token_hex(8), Wanted(by=by), now_rfc3339(), Stage.BEGUN)
        if running is not None:
            running.replay_id = ""
        draft.replay_id = replay_id
        self._forget()
        self._drafts[draft.id] = draft
        self._begin(draft, replays.resume, Named(replay_id, by), timeout_s=None)
        return draft

    def drain(self) -> None:
        """Let the replays that run drain, and end; they can be gone on with. Begin no other."""
        if not self._closed:
            self._closed = True
            for child in self._children:
                child.stop()

    async def close(self) -> None:
        """The same, and wait for it."""
        self.drain()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._drain_s)
            for child in self._children:
                child.kill()
            if late:
                await asyncio.wait(late)
        self._threads.shutdown(wait=False)

    def _require_open(self) -> None:
        if self._closed:
            raise Busy("This worker stops; ask another one, or again when it runs.")

    def _require_free(self) -> None:
        self._require_open()
        if any(draft.stage is Stage.BEGUN for draft in self._drafts.values()):
            raise Busy("Another replay runs on this worker; try again when it has ended.")

    def _forget(self) -> None:
        old = [draft.id for draft in self._drafts.values() if not draft.at_work]
        for draft_id in old[: max(0, len(self._drafts) - PLANS + 1)]:
            del self._drafts[draft_id]

    def _begin(self, draft: Draft, work: Work, asked: Any, *, timeout_s: float | None) -> None:
        task = asyncio.create_task(self._carry_out(draft, work, asked, timeout_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(
        self, draft: Draft, work: Work, asked: Any, timeout_s: float | None
    ) -> None:
        loop = asyncio.get_running_loop()

        def heard(news: Any) -> None:
            loop.call_soon_threadsafe(_hear, draft, news)

        child = self._desk.hire()
        self._children.add(child)
        if self._closed:
            child.stop()
        try:
            answer = await loop.run_in_executor(
                self._threads,
                lambda: child.ask(work, asked, timeout_s=timeout_s, heard=heard),
            )
            given = answer.given()
        except (TryAgain, Misconfigured) as error:
            draft.stage, draft.problem = Stage.FAILED, str(error)
            log.warning("A replay of the page failed.", plan=draft.id, error=str(error))
        else:
            _end(draft, given)
        finally:
            draft.moved.set()
            self._children.discard(child)
            await asyncio.to_thread(child.kill)


def _hear(draft: Draft, news: Any) -> None:
    match news:
        case Begun(replay_id):
            draft.replay_id = replay_id
            draft.moved.set()
        case int():
            draft.looked_at = news


def _end(draft: Draft, given: Any) -> None:
    match given:
        case Planned():
            draft.planned, draft.stage = given, Stage.READY
            draft.looked_at = draft.count
        case _:
            draft.result, draft.stage = given, Stage.ENDED
            log.info("A replay of the page ended.", replay=draft.replay_id)


async def settled(draft: Draft, within_s: float) -> None:
    """Wait until something is known of a draft, but no longer than this."""
    try:
        async with asyncio.timeout(within_s):
            await draft.moved.wait()
    except TimeoutError:
        pass
    draft.moved.clear()
