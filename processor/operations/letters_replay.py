"""``dlq replay``: what would come of it with today's schemas, and doing it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from processor.operations.bounds import Bounds
from processor.operations.letters import read_story, scan
from processor.operations.letters_choice import Choice, choose
from processor.operations.letters_options import LetterOptions, locate
from processor.operations.reading import Reader
from processor.operations.rehearsal import Prediction, predict, rehearsing
from processor.operations.replaying import Outcome, new_replay_id, replay, state_targets
from processor.settings import Settings

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


@dataclass(frozen=True, slots=True)
class LetterReplay:
    """A replay of the letters that were chosen.

    Attributes:
        choice: their coordinates, and how many were left.
        max_replays: letters replayed so often were left.
    """

    choice: Choice
    max_replays: int
    _settings: Settings
    _reader: Reader

    def warnings(self) -> Iterator[str]:
        """What to know before it is done."""
        states = state_targets(self._settings, self.choice.targets)
        if states:
            yield (
                f"Targets that hold a state are among them ({', '.join(states)}): an old letter "
                "can overwrite what a later record of the same key has set."
            )

    async def rehearse(self, looked_at: Callable[[int], None]) -> Report:
        """Say what would come of it; nothing is sent.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us, or the schemas are wrong.
        """
        async with rehearsing(self._settings) as rehearsal:
            prediction = await predict(
                self._reader, rehearsal, self.choice.letters, looked_at=looked_at
            )
        return self._forecast(prediction)

    async def execute(
        self, report: Callable[[Outcome], None], aborted: Callable[[], None]
    ) -> Report:
        """Replay them, until all have ended or a signal stops it.

        Raises:
            Misconfigured: the schemas are wrong; nothing was read.
        """
        if not self.choice.letters.count:
            return Report(
                {"execute": True, "chosen": 0, **self._left()},
                ("No dead letter was chosen; nothing was sent.", *self._left_lines()),
            )
        outcome = await replay(
            self._settings,
            self.choice.letters,
            replay_id=new_replay_id(),
            read_story=read_story,
            report=report,
            aborted=aborted,
        )
        document, lines = told(outcome)
        return Report({**document, **self._left()}, (*lines, *self._left_lines()), outcome.status)

    def _forecast(self, prediction: Prediction) -> Report:
        fails = sorted(prediction.fails.items(), key=lambda entry: (-entry[1], entry[0]))
        document = {
            "execute": False,
            "chosen": self.choice.letters.count,
            "would_pass": prediction.passes,
            "unknown_until_sent": prediction.unknown_until_sent,
            "would_fail": [
                {"code": code.value, "fingerprint": mark, "count": count}
                for (code, mark), count in fails
            ],
            "filtered": by_name(prediction.filtered),
            "gone": prediction.gone,
            **self._left(),
        }
        lines = (
            f"{self.choice.letters.count} dead letters chosen. {DRY_RUN}",
            counted(prediction.passes, "would pass decoding, mapping and gate"),
            counted(
                prediction.unknown_until_sent,
                "would pass too, but failed at Experience Platform: known only when sent",
            ),
            *(
                counted(count, f"would fail again: {code.value}, fingerprint {mark}")
                for (code, mark), count in fails
            ),
            *(
                counted(count, f"would be filtered: {reason}")
                for reason, count in by_name(prediction.filtered).items()
            ),
            counted(prediction.gone, "are no longer there"),
            *self._left_lines(),
        )
        return Report(document, tuple(filter(None, lines)))

    def _left(self) -> dict[str, int]:
        return {
            "left_over_limit": self.choice.over_limit,
            "left_superseded": self.choice.superseded,
        }

    def _left_lines(self) -> tuple[str, ...]:
        over = f"left alone: replayed {self.max_replays} times or more (--max-replays)"
        superseded = "left alone: replayed since; a later letter of the record says what is missing"
        lines = (counted(self.choice.over_limit, over), counted(self.choice.superseded, superseded))
        return tuple(filter(None, lines))


def prepare(
    settings: Settings, options: LetterOptions, bounds: Bounds, *, max_replays: int
) -> LetterReplay:
    """Choose the letters of a replay; the ends of the topics are pinned by this call.

    Raises:
        Misconfigured: an option is malformed, or names what does not exist.
        TryAgain: no broker answers.
    """
    reader = Reader(settings)
    criteria, where = locate(reader, settings, options, bounds)
    with closing(scan(reader, where.later, criteria.connector)) as letters:
        choice = choose(letters, where.spans, criteria, max_replays=max_replays)
    return LetterReplay(choice, max_replays, settings, reader)


def told(outcome: Outcome) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What became of a replay, as one JSON object and in sentences."""
    document = {
        "execute": True,
        "replay_id": outcome.replay_id,
        "group": outcome.group_id,
        "chosen": outcome.chosen,
        "delivered": outcome.delivered,
        "failed": by_name(outcome.failed),
        "filtered": by_name(outcome.filtered),
        "not_sent": outcome.left,
        "interrupted": outcome.interrupted,
        "finished": outcome.finished,
        "failure": outcome.failure or None,
    }
    if outcome.interrupted or not outcome.finished:
        left = "were not reached; their offsets are not committed"
    elif outcome.exact:
        left = "are no longer there"
    else:
        left = "offsets hold no record (compaction, transaction markers)"
    lines = (
        f"Replay {outcome.replay_id}, consumer group {outcome.group_id}.",
        counted(outcome.delivered, "delivered"),
        *(
            counted(count, f"failed again: {code}; back in the dead-letter topic")
            for code, count in by_name(outcome.failed).items()
        ),
        *(
            counted(count, f"filtered: {reason}")
            for reason, count in by_name(outcome.filtered).items()
        ),
        counted(outcome.left, left),
        "Interrupted: what was on its way ended and is committed."
        if outcome.interrupted and outcome.finished
        else "",
        outcome.failure,
    )
    return document, tuple(filter(None, lines))


def counted(count: int, what: str) -> str:
    """A line of a summary; empty for none."""
    return f"{count:>9}  {what}" if count else ""


def by_name(counts: Counter[Any]) -> dict[str, int]:
    """Counts by their word, the largest first."""
    return {str(word): count for word, count in counts.most_common()}
