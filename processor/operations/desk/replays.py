"""What is asked about replays: which there are, what one would come to, doing it, ending it.

Each function does a piece of work for :class:`processor.operations.desk.apart.Apart` or a child of
its own. Everything that a replay does and knows stands in the state topic, so any worker tells it.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from processor.operations.bounds import Bounds
from processor.operations.desk.apart import Tell
from processor.operations.desk.letters import Asked, allowed
from processor.operations.letters.meant import LookOptions
from processor.operations.letters.options import LetterOptions
from processor.operations.replays.letters.discard import prepare
from processor.operations.replays.letters.plan_file import Plan
from processor.operations.replays.letters.prepare import Letters
from processor.operations.replays.letters.replay import How, LetterReplay
from processor.operations.replays.look import all_replays, cancel, one_replay
from processor.operations.replays.replaying import EXIT_INTERRUPTED, Outcome
from processor.record import Position
from processor.settings import Settings
from processor.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are to be replayed or discarded.

    Attributes:
        which: by kind of failure or topic.
        position: just this one; then `which` says nothing.
        allow_stale: send to targets that hold a state although a later record is there.
        by: who wants it.
        reason: why they are discarded.
    """

    which: Asked = field(default_factory=Asked)
    position: Position | None = None
    allow_stale: bool = False
    by: str = ""
    reason: str = ""

    def options(self) -> LookOptions:
        """As the commands take them."""
        if self.position is None:
            return self.which.options()
        place = f"{self.position.topic}:{self.position.partition}:{self.position.offset}"
        chosen = LetterOptions(offsets=(place,))
        return LookOptions(chosen, Bounds(), resolution=self.which.resolution)


class Planned(NamedTuple):
    """What a replay would come to.

    Attributes:
        plan: its letters.
        document: as ``dlq replay --json`` gives it.
        warnings: what to know before it is done.
    """

    plan: Plan
    document: dict[str, Any]
    warnings: tuple[str, ...]


class Execution(NamedTuple):
    """A plan to be executed."""

    plan: Plan
    allow_stale: bool
    by: str


class Named(NamedTuple):
    """A replay, and who does something about it."""

    id: str
    by: str = ""


class Discarding(NamedTuple):
    """Letters to be discarded, and how many whoever wants it says they are."""

    wanted: Wanted
    confirmed: int


class Begun(NamedTuple):
    """News: which replay a plan has become."""

    replay_id: str


def plan(settings: Settings, wanted: Wanted, tell: Tell) -> Planned:
    """Choose letters and rehearse each with today's schemas; nothing is sent.

    Tells how many were looked at.

    Raises:
        TryAgain: Kafka or the schema registry does not answer.
        Misconfigured: what is asked for is malformed or not ours, or the schemas are wrong.
    """
    allowed(settings, wanted.position.topic if wanted.position else wanted.which.topic)
    how = How(allow_stale=wanted.allow_stale)
    replay = Letters(settings, how).by_options(wanted.options())
    report, planned = asyncio.run(replay.rehearse(tell))
    return Planned(planned, report.document, tuple(replay.warnings()))


def execute(settings: Settings, execution: Execution, tell: Tell) -> dict[str, Any]:
    """Replay the letters of a plan; gives what ``dlq replay --execute --json`` prints.

    Tells which replay it is, then how many letters have ended. A SIGTERM lets what is on its way
    end; the replay can be gone on with.

    Raises:
        TryAgain: Kafka does not answer, before anything was sent.
        Misconfigured: the schemas are wrong, or the plan is one of topics that were deleted.
    """
    how = How(allow_stale=execution.allow_stale)
    letters = Letters(settings, how, by=execution.by)
    return _run(letters.of_plan(execution.plan, "The plan"), tell)


def resume(settings: Settings, replay: Named, tell: Tell) -> dict[str, Any]:
    """Go on with a replay that did not end, as it was begun; as :func:`execute`."""
    earlier = next((one for one in all_replays(settings) if one.base.id == replay.id), None)
    options = {} if earlier is None else earlier.base.options
    how = How(allow_stale=options.get("allow_stale") is True)
    return _run(Letters(settings, how, by=replay.by).by_replay(replay.id), tell)


def _run(replay: LetterReplay, tell: Tell) -> dict[str, Any]:
    tell(Begun(replay.run.id))

    def so_far(outcome: Outcome) -> None:
        tell(outcome.ended)

    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_INTERRUPTED))
    document = asyncio.run(replay.execute(so_far, lambda: None)).document
    return {"replay_id": replay.run.id, **document}


def replays(settings: Settings, _asked: None, _tell: Tell) -> list[dict[str, Any]]:
    """Every replay, the latest first, as ``replay list --json`` has them."""
    return [one.document for one in reversed(all_replays(settings))]


def replay(settings: Settings, asked: Named, _tell: Tell) -> dict[str, Any]:
    """One replay with how far it is, as ``replay show --json`` has it."""
    return one_replay(settings, asked.id).document


def end(settings: Settings, asked: Named, tell: Tell) -> dict[str, Any]:
    """End a replay for good; waits until it has drained."""
    waiting: Callable[[str], None] = tell
    return cancel(settings, asked.id, execute=True, waiting=waiting, by=asked.by).document


def describe_discard(settings: Settings, wanted: Wanted, tell: Tell) -> dict[str, Any]:
    """What would be discarded, as ``dlq discard --json`` gives it; nothing is done."""
    allowed(settings, wanted.position.topic if wanted.position else wanted.which.topic)
    discard = prepare(settings, wanted.options(), reason=wanted.reason or "-", looked_at=tell)
    return discard.describe().document


def discard(settings: Settings, asked: Discarding, tell: Tell) -> dict[str, Any]:
    """Discard letters: nothing more is to be done about them; they stay in Kafka.

    When there are more or fewer of them than was said, nothing is done, and it tells how many.
    """
    wanted = asked.wanted
    allowed(settings, wanted.position.topic if wanted.position else wanted.which.topic)
    chosen = prepare(settings, wanted.options(), reason=wanted.reason, looked_at=tell, by=wanted.by)
    if chosen.letters.count != asked.confirmed:
        return {**chosen.describe().document, "confirmed": asked.confirmed}
    log.warning("Dead letters were discarded on the page.", who=wanted.by, letters=asked.confirmed)
    return chosen.execute().document
