"""What is said of a replay of dead letters: before, of what would come of it, and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from processor.operations.rehearsal import Expected, Prediction
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.letters.choice import Choice
from processor.operations.replays.replaying import EXIT_SOME_FAILED, Outcome
from processor.operations.replays.report import DRY_RUN, STALE, Report, counted, told
from processor.operations.resolutions.claims import Claimant, Share


@dataclass(frozen=True, slots=True)
class Left:
    """Letters that are left alone, and why.

    Attributes:
        choice: says how many were replayed too often, superseded, or resolved.
        max_replays: what too often means.
        gone: how many of a plan are no longer there.
        resolved: how many were resolved while this replay was about to begin.
        claimed: how many others have, by who.
    """

    choice: Choice
    max_replays: int
    gone: int = 0
    resolved: int = 0
    claimed: tuple[tuple[Claimant, int], ...] = ()

    @classmethod
    def after(cls, before: "Left", got: Share, resolved: int) -> "Left":
        """The same, when the letters have been claimed."""
        claimed = tuple(sorted(got.others.items(), key=lambda other: other[0].run))
        return cls(before.choice, before.max_replays, before.gone, resolved, claimed)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "left_over_limit": self.choice.over_limit,
            "left_superseded": self.choice.superseded,
            "left_resolved": self.choice.resolved + self.resolved,
            "left_gone": self.gone,
            "left_claimed": claimed_rows(dict(self.claimed)),
        }

    def lines(self) -> tuple[str, ...]:
        """For people."""
        over = f"left alone: replayed {self.max_replays} times or more (--max-replays)"
        superseded = "left alone: replayed since; a later letter of the record says what is missing"
        resolved = "left alone: something was done about them already (dlq list --resolution any)"
        lines = (
            counted(self.choice.over_limit, over),
            counted(self.choice.superseded, superseded),
            counted(self.choice.resolved + self.resolved, resolved),
            counted(self.gone, "of the plan are no longer there"),
            *claimed_lines(dict(self.claimed)),
        )
        return tuple(filter(None, lines))


def forecast(prediction: Prediction, left: Left, later: LaterRecords) -> Report:
    """What would come of a replay; nothing was sent."""
    counts = {
        expected: sum(prediction.counts(expected).values())
        for expected in (Expected.MENDED, Expected.UNKNOWN_UNTIL_SENT, Expected.STALE)
    }
    fails = prediction.counts(Expected.WOULD_FAIL)
    filtered = prediction.counts(Expected.FILTERED)
    partly = sum(c.count for e, c in prediction.letters.items() if e.partly_stale)
    chosen = left.choice.letters.count
    document = {
        "execute": False,
        "chosen": chosen,
        **{expected.value: count for expected, count in counts.items()},
        "partly_stale": partly,
        "stale_allowed": later.allowed,
        "stale_untold": dict(later.untold),
        "would_fail": [
            {"code": kind.code, "fingerprint": kind.fingerprint, "count": count}
            for kind, count in fails.items()
        ],
        "filtered": {str(kind.reason): count for kind, count in filtered.items()},
        "gone": prediction.gone,
        **left.document(),
    }
    lines = (
        f"{chosen} dead letters chosen. {DRY_RUN}",
        counted(counts[Expected.MENDED], "would pass decoding, mapping and gate"),
        counted(
            counts[Expected.UNKNOWN_UNTIL_SENT],
            "unknown until sent: would pass too, but failed at Experience Platform",
        ),
        *(
            counted(count, f"would fail again: {kind.code}, fingerprint {kind.fingerprint}")
            for kind, count in fails.items()
        ),
        *(counted(count, f"would be filtered: {kind.reason}") for kind, count in filtered.items()),
        counted(counts[Expected.STALE], f"would be left alone: {STALE}"),
        counted(partly, "of them would be sent in part: what holds a state is stale"),
        *_stale_lines(later),
        counted(prediction.gone, "are no longer there"),
        *left.lines(),
    )
    return Report(document, tuple(filter(None, lines)))


def done(outcome: Outcome, left: Left, later: LaterRecords) -> Report:
    """What came of a replay."""
    document, lines = told(outcome)
    if not outcome.finished or outcome.interrupted or outcome.failure:
        lines += (f"Go on with: processor dlq replay --resume {outcome.replay_id} --execute",)
    document |= {"stale_sent": later.allowed, **left.document()}
    status = outcome.status or (EXIT_SOME_FAILED if left.claimed else 0)
    return Report(document, (*lines, *_stale_lines(later), *left.lines()), status)


def nothing_done(left: Left) -> Report:
    """There was nothing to replay."""
    document = {"execute": True, "chosen": 0, **left.document()}
    lines = ("No dead letter was chosen; nothing was sent.", *left.lines())
    return Report(document, lines, EXIT_SOME_FAILED if left.claimed else 0)


def _stale_lines(later: LaterRecords) -> tuple[str, ...]:
    allowed = "of them are old news, and sent all the same (--allow-stale)"
    told_not = (
        counted(count, f"of the stale ones nobody can tell: {why}")
        for why, count in later.untold.most_common()
    )
    return tuple(filter(None, (counted(later.allowed, allowed), *told_not)))


def claimed_rows(others: Mapping[Claimant, int]) -> list[dict[str, Any]]:
    """Who has letters that were meant, and how many, for programs."""
    return [{"replay_id": w.what, "by": w.by, "count": count} for w, count in others.items()]


def claimed_lines(others: Mapping[Claimant, int]) -> tuple[str, ...]:
    """The same for people."""
    return tuple(
        counted(count, f"left alone: {who.what} of {who.by} has claimed them")
        for who, count in others.items()
    )
