"""What would come of a range: each record decoded, mapped and checked, and nothing sent."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from processor.connector.graveyard import fingerprint_of
from processor.errors import Code, FilterReason
from processor.operations.chosen import Chosen
from processor.operations.reading import Reader
from processor.operations.rehearsal import Rehearsal, Rehearsed, chosen_records
from processor.operations.replays.replaying import SHARE
from processor.operations.replays.report import counted
from processor.settings import Settings

NONE = ""
"""Stands for the event of what could not be decoded, and for the target of what has none."""


@dataclass(slots=True)
class Forecast:
    """What would come of records, in records and in messages.

    Attributes:
        records: that are still there.
        sent: of them, those of which every message would be sent.
        failing: those that would become dead letters.
        left_out: those of which nothing would be sent, by event and reason.
        messages: that would be sent, by event and target; whether Experience Platform takes them,
            only it can tell.
        fails: what would fail, by event, target, code and fingerprint.
        stale: what would not be sent to a target that holds a state, by event and target.
    """

    records: int = 0
    sent: int = 0
    failing: int = 0
    left_out: Counter[tuple[str, FilterReason]] = field(default_factory=Counter)
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    fails: Counter[tuple[str, str, Code, str]] = field(default_factory=Counter)
    stale: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, rehearsed: Rehearsed) -> None:
        """Count one record."""
        passage = rehearsed.passage
        event = passage.event.name if passage.event is not None else NONE
        self.records += 1
        for parcel in rehearsed.parcels:
            self.messages[event, parcel.message.target] += 1
        for target in passage.stale:
            self.stale[event, plain(target)] += 1
        for failure in passage.failures:
            mark = fingerprint_of(failure.error, passage, failure.target)
            self.fails[event, plain(failure.target), failure.error.code, mark] += 1
        if passage.failures:
            self.failing += 1
        elif rehearsed.filtered is not None:
            self.left_out[event, rehearsed.filtered] += 1
        else:
            self.sent += 1

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "stale": [
                {"event": event, "target": target, "count": count}
                for (event, target), count in self.stale.most_common()
            ],
            "records": self.records,
            "would_be_sent": self.sent,
            "would_be_dead_lettered": self.failing,
            "would_be_filtered": self.left_out.total(),
            "messages": [
                {"event": event, "target": target, "count": count}
                for (event, target), count in self.messages.most_common()
            ],
            "would_fail": [
                {
                    "event": event or None,
                    "target": target or None,
                    "code": code.value,
                    "fingerprint": mark,
                    "count": count,
                }
                for (event, target, code, mark), count in self.fails.most_common()
            ],
            "filtered": [
                {"event": event or None, "reason": reason.value, "count": count}
                for (event, reason), count in self.left_out.most_common()
            ],
        }

    def stale_lines(self) -> Iterator[str]:
        """What is left out because it is old news."""
        for (event, target), count in self.stale.most_common():
            yield counted(
                count,
                f"stale: {event} is not sent to {target}; a later record of its key is not in the "
                "range, or may be (--allow-stale)",
            )

    def lines(self) -> Iterator[str]:
        """For people."""
        for (event, target), count in self.messages.most_common():
            yield counted(count, f"messages of {event} would be sent to {target}")
        for (event, target, code, mark), count in self.fails.most_common():
            what = (
                f"{event} would fail for {target}" if target else f"{event or 'records'} would fail"
            )
            yield counted(count, f"{what}: {code.value}, fingerprint {mark}")
        for (event, reason), count in self.left_out.most_common():
            if reason is not FilterReason.STALE:
                yield counted(count, f"{event or 'records'} would be filtered: {reason.value}")


def plain(target: str) -> str:
    """The target of ``target`` or ``target#index``."""
    return target.partition("#")[0]


async def foresee(
    reader: Reader,
    rehearsal: Rehearsal,
    records: Chosen,
    *,
    looked_at: Callable[[int], None] = lambda _count: None,
) -> Forecast:
    """Rehearse every record that was chosen.

    Raises:
        TryAgain: Kafka or the schema registry does not answer.
        Misconfigured: one of them refuses us.
    """
    forecast = Forecast()
    for batch in chosen_records(reader, records):
        for record in batch:
            forecast.count(await rehearsal.rehearse(record))
        looked_at(forecast.records)
        await asyncio.sleep(0)  # an interrupt is delivered here
    return forecast


def duration_s(settings: Settings, forecast: Forecast) -> float | None:
    """How long sending takes at the replay's share of the rates; `None`: nothing limits it.

    Experience Platform may be slower, and live traffic slows both down.

    Args:
        settings: with the replay's own rate and targets.
        forecast: what would be sent.
    """
    delivery, targets = settings.delivery, settings.experience_platform.targets
    by_target: Counter[str] = Counter()
    for (_, target), count in forecast.messages.items():
        by_target[target] += count
    requests = sum(math.ceil(n / delivery.batch_max_records) for n in by_target.values())
    times = [
        (forecast.messages.total(), delivery.messages_per_second),
        (requests, delivery.requests_per_second),
        *((count, targets[name].messages_per_second) for name, count in by_target.items()),
    ]
    limited = [count / (rate * SHARE) for count, rate in times if rate]
    return max(limited) if limited else None
