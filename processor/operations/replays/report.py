"""What is said of a replay at its end, in sentences and for programs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from processor.operations.replays.replaying import Outcome

DRY_RUN = "Nothing was sent: this is a dry run; --execute replays them."


@dataclass(frozen=True, slots=True)
class Report:
    """What is said at the end, in sentences and for programs.

    Attributes:
        document: one JSON object.
        lines: the same for people.
        status: the exit status.
    """

    document: dict[str, Any]
    lines: tuple[str, ...]
    status: int = 0


def told(outcome: Outcome) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What became of a replay, as one JSON object and in sentences."""
    document = {
        "execute": True,
        "replay_id": outcome.replay_id,
        "group": outcome.group_id,
        "chosen": outcome.chosen,
        **outcome.counts(),
        "not_sent": outcome.left,
        "interrupted": outcome.interrupted,
        "finished": outcome.finished,
        "failure": outcome.failure or None,
    }
    lines = (
        f"Replay {outcome.replay_id}, consumer group {outcome.group_id}.",
        counted(outcome.delivered, "delivered"),
        counted(outcome.partly, "of them only in part: the rest is stale, and stays open"),
        *(
            counted(count, f"failed again: {code}; back in the dead-letter topic")
            for code, count in by_name(outcome.failed).items()
        ),
        *filtered_lines(outcome),
        counted(outcome.stale, f"left alone: {STALE}"),
        *last_lines(outcome),
    )
    return document, tuple(filter(None, lines))


STALE = "stale, a later record of the key is there or may be (--allow-stale)"


def filtered_lines(outcome: Outcome) -> Iterator[str]:
    """What was left out on purpose, by reason."""
    for reason, count in by_name(outcome.filtered).items():
        yield counted(count, f"filtered: {reason}")


def last_lines(outcome: Outcome, *, go_on: str = "") -> Iterator[str]:
    """What was not sent and why, and how it ended; a line may be empty.

    Args:
        outcome: of the replay.
        go_on: the command that sends what was not reached.
    """
    if outcome.interrupted or outcome.failure or not outcome.finished:
        why = f"were not reached: {go_on}" if go_on else "were not reached"
    elif outcome.exact:
        why = "are no longer there"
    else:
        why = "offsets hold no record (compaction, transaction markers)"
    yield counted(outcome.left, why)
    if outcome.interrupted and outcome.finished:
        yield "Interrupted: what was on its way ended and is committed."
    yield outcome.failure


def counted(count: int, what: str) -> str:
    """A line of a summary; empty for none."""
    return f"{count:>9}  {what}" if count else ""


def by_name(counts: Counter[Any]) -> dict[str, int]:
    """Counts by their word, the largest first."""
    return {str(word): count for word, count in counts.most_common()}
