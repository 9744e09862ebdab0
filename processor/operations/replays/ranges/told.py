"""What is said of a replay of a range, in sentences and for programs (pure)."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from processor.connector.graveyard import Names
from processor.operations.letters.fields import rfc3339
from processor.operations.replays.ranges.forecast import Forecast, duration_s
from processor.operations.replays.ranges.pinned import Pinned
from processor.operations.replays.ranges.selection import Selection
from processor.operations.replays.replaying import Outcome
from processor.operations.replays.report import (
    DRY_RUN,
    Report,
    by_name,
    counted,
    filtered_lines,
    last_lines,
)
from processor.settings import Settings

NO_SELECTION = Selection()


def described(pinned: Pinned, selection: Selection | None, before: int) -> Report:
    """Which records they are, and how many of them have ended in an earlier attempt."""
    chosen = selection or NO_SELECTION
    document = {"execute": False, **_document(pinned, chosen), "ended_before": before}
    lines = (
        f"{pinned.records.count} records chosen. {DRY_RUN}",
        *_lines(pinned, chosen),
        counted(before, "of them have ended before, and are not sent again"),
    )
    return Report(document, tuple(filter(None, lines)))


def foretold(
    pinned: Pinned, selection: Selection | None, forecast: Forecast, settings: Settings
) -> Report:
    """What would come of them.

    Args:
        pinned: the records.
        selection: how they were chosen.
        forecast: what would come of them.
        settings: with the replay's own rate and targets.
    """
    chosen = selection or NO_SELECTION
    takes_s = duration_s(settings, forecast)
    gone = pinned.records.count - forecast.records
    document = {
        "execute": False,
        **forecast.document(),
        **_document(pinned, chosen),
        "no_longer_there": gone,
        "duration_s": None if takes_s is None else round(takes_s, 1),
    }
    total = forecast.messages.total()
    lines = (
        *forecast.stale_lines(),
        f"{pinned.records.count} records chosen. {DRY_RUN}",
        *_lines(pinned, chosen),
        counted(gone, "offsets hold no record (compaction, transaction markers), or no more"),
        counted(forecast.sent, "records would be sent; Experience Platform may refuse some yet"),
        counted(forecast.failing, "records would become dead letters"),
        counted(forecast.left_out.total(), "records would be left out"),
        *forecast.lines(),
        f"{total} messages take {_span(takes_s)} at the replay's rates."
        if takes_s is not None
        else f"{total} messages; no rate is set.",
    )
    return Report(document, tuple(filter(None, lines)))


def nothing(selection: Selection | None) -> Report:
    """That no record was chosen."""
    chosen = selection or NO_SELECTION
    document = {"execute": True, "chosen": 0, "undecodable": chosen.undecodable}
    lines = ("No record was chosen; nothing was sent.", _undecodable(chosen))
    return Report(document, tuple(filter(None, lines)))


def told(
    outcome: Outcome,
    stale: Mapping[str, int],
    selection: Selection | None,
    names: Names,
    pinned: Pinned,
) -> Report:
    """What became of them."""
    chosen = selection or NO_SELECTION
    letters = sorted({names.dead_letter_topic(topic) for topic in pinned.topics})
    document = {
        "execute": True,
        "replay_id": outcome.replay_id,
        "group": outcome.group_id,
        "chosen": outcome.chosen,
        "ended_before": outcome.before,
        **outcome.counts(),
        "stale_by_target": dict(stale),
        "dead_letter_topics": letters if outcome.failed else [],
        "not_sent": outcome.left,
        "interrupted": outcome.interrupted,
        "finished": outcome.finished,
        "failure": outcome.failure or None,
        "undecodable": chosen.undecodable,
    }
    lines = (
        f"Replay {outcome.replay_id}, consumer group {outcome.group_id}.",
        counted(outcome.before, "had ended before"),
        counted(outcome.delivered, "delivered"),
        *(
            counted(count, f"failed: {code}; in {', '.join(letters)}")
            for code, count in by_name(outcome.failed).items()
        ),
        *filtered_lines(outcome),
        *(
            counted(count, f"not sent to {target}: stale, a later record of the key is there")
            for target, count in stale.items()
        ),
        counted(outcome.stale, "of them had no other target"),
        *last_lines(outcome, go_on=f"processor replay run --resume {outcome.replay_id} --execute"),
        _undecodable(chosen),
    )
    return Report(document, tuple(filter(None, lines)), outcome.status)


def _document(pinned: Pinned, selection: Selection) -> dict[str, Any]:
    return {
        **pinned.document(),
        "first_timestamp": rfc3339(selection.first_ms),
        "last_timestamp": rfc3339(selection.last_ms),
        "undecodable": selection.undecodable,
    }


def _lines(pinned: Pinned, selection: Selection) -> Iterator[str]:
    for partition, (start, end) in sorted(pinned.spans.items()):
        count = len(pinned.records.by_partition.get(partition, ()))
        yield f"{count:>9}  in {partition}, offsets {start} to before {end}"
    first, last = rfc3339(selection.first_ms), rfc3339(selection.last_ms)
    yield f"           from {first} to {last}" if first and last else ""
    yield _undecodable(selection)


def _undecodable(selection: Selection) -> str:
    return counted(selection.undecodable, "could not be decoded, so --where was not tried on them")


def _span(seconds: float) -> str:
    return "less than a second" if seconds < 1 else f"about {timedelta(seconds=round(seconds))}"
