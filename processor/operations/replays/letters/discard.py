"""``dlq discard``: says of dead letters that nothing more is to be done; they stay in Kafka."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from processor.errors import Code, Misconfigured
from processor.kafka.letter import now_rfc3339
from processor.kafka.state import StateTopic
from processor.operations.chosen import Chosen
from processor.operations.letters.events import decoding
from processor.operations.letters.find import scan
from processor.operations.letters.meant import LookOptions
from processor.operations.letters.options import locate
from processor.operations.own_process import user_at_host
from processor.operations.reading import Reader
from processor.operations.replays.letters.choice import Holds
from processor.operations.replays.letters.forecast import claimed_lines, claimed_rows
from processor.operations.replays.letters.state import Known, Wanted, known, left, tidy
from processor.operations.replays.replaying import EXIT_SOME_FAILED, new_replay_id
from processor.operations.replays.report import Report, counted
from processor.operations.resolutions.claiming import State, claiming
from processor.operations.resolutions.claims import Share
from processor.operations.resolutions.resolutions import Outcome, Place, Resolved, Word
from processor.operations.resolutions.runs import pieces
from processor.operations.where import where
from processor.settings import Settings

REASON_CHARACTERS = 1_000
LOOK_EVERY = 2_000
DRY_RUN = "Nothing was done: this is a dry run; --execute discards them."

Kind = tuple[Code, str]
"""Code and fingerprint."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Letters that are to be discarded.

    Attributes:
        letters: open ones.
        kinds: how many, by code and fingerprint.
        resolved: how many were meant, and are not open.
        reason: why.
        by: who does it.
    """

    letters: Chosen
    kinds: Counter[Kind]
    resolved: int
    reason: str
    by: str
    _known: Known
    _reader: Reader
    _state: State

    def describe(self) -> Report:
        """Say which they are; nothing is done."""
        lines = (
            f"{self.letters.count} open dead letters chosen. {DRY_RUN}",
            *kind_lines(self.kinds),
            *self._resolved_lines(),
        )
        return Report({"execute": False, **self._document()}, lines)

    def execute(self) -> Report:
        """Discard them, but for those that somebody replays now.

        Raises:
            TryAgain: Kafka does not answer; some of them may have been discarded.
            Misconfigured: Kafka refuses us.
        """
        if not self.letters.count:
            document = {"execute": True, **self._document(), "discarded": 0}
            lines = ("No open dead letter was chosen; nothing was done.", *self._resolved_lines())
            return Report(document, lines)
        action = new_replay_id()
        with claiming(self._state, f"discard {action}", action) as claim:
            got, entries = claim.take(self.letters)
            now = self._known.again(entries)
            letters = left(got.ours, now.resolutions, Wanted())
            topic_ids = now.origin.topic_ids
            at = now_rfc3339()
            self._state.write_many(
                {
                    Place(place, action, number).key: Resolved(
                        {Outcome(Word.DISCARDED): piece},
                        self.by,
                        at,
                        topic_ids.get(place.topic, ""),
                        self.reason,
                    ).document()
                    for place, offsets in letters.by_partition.items()
                    for number, piece in enumerate(pieces(offsets))
                }
            )
        tidy(self._state, now.resolutions, self._reader)
        return self._done(action, letters.count, got)

    def _done(self, action: str, count: int, got: Share) -> Report:
        text = "dead letters are discarded; they stay in Kafka until retention or a purge"
        document = {
            "execute": True,
            **self._document(),
            "action_id": action,
            "discarded": count,
            "left_claimed": claimed_rows(got.others),
        }
        lines = (f"{count} {text}.", *claimed_lines(got.others), *self._resolved_lines())
        return Report(document, lines, EXIT_SOME_FAILED if got.others else 0)

    def _document(self) -> dict[str, Any]:
        return {
            "chosen": self.letters.count,
            "reason": self.reason,
            "kinds": kind_rows(self.kinds),
            "left_resolved": self.resolved,
        }

    def _resolved_lines(self) -> tuple[str, ...]:
        text = "left alone: something was done about them already"
        return (counted(self.resolved, text),) if self.resolved else ()


def prepare(
    settings: Settings,
    given: LookOptions,
    *,
    reason: str,
    by: str = "",
    looked_at: Callable[[int], None] = lambda _count: None,
) -> Discard:
    """Choose the letters; the ends of the topics are pinned by this call.

    Raises:
        Misconfigured: an option is malformed, or names what does not exist.
        TryAgain: no broker answers.
    """
    if not reason.strip() or len(reason) > REASON_CHARACTERS:
        raise Misconfigured(f"--reason takes a sentence of up to {REASON_CHARACTERS} characters.")
    reader = Reader(settings)
    state = StateTopic(settings, f"{settings.name}-discard")
    conditions = tuple(map(where, given.wheres))
    criteria, place = locate(reader, settings, given.letters, given.bounds)
    now = known(settings, state, {partition.topic for partition in place.spans})
    letters, kinds, resolved = Chosen(), Counter[Kind](), 0
    with ExitStack() as parts:
        found_ones = parts.enter_context(closing(scan(reader, place.spans, criteria.connector)))
        holds = Holds(conditions, parts.enter_context(decoding(settings))) if conditions else None
        for count, found in enumerate(found_ones, 1):
            if not count % LOOK_EVERY:
                looked_at(count)
            if not criteria.take(found.position, found.letter):
                continue
            if not now.is_open(found.position):
                resolved += 1
            elif holds is None or holds(found):
                letters.add(found.position)
                kinds[found.letter.code, found.letter.fingerprint] += 1
    return Discard(letters, kinds, resolved, reason, by or user_at_host(), now, reader, state)


def kind_rows(kinds: Counter[Kind]) -> list[dict[str, Any]]:
    """Kinds of failures for programs, the most frequent first."""
    return [
        {"code": code.value, "fingerprint": mark, "count": count}
        for (code, mark), count in kinds.most_common()
    ]


def kind_lines(kinds: Counter[Kind]) -> tuple[str, ...]:
    """Kinds of failures for people, the most frequent first."""
    return tuple(
        counted(count, f"{code.value}, fingerprint {mark}")
        for (code, mark), count in kinds.most_common()
    )
