"""How a record ended, as far as Kafka alone can tell (pure)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from processor.operations.rehearsal import Rehearsed
from processor.operations.tracing.letters import Told

Word = Literal["delivered", "dead_lettered", "filtered", "open", "unknown"]


class Ending(NamedTuple):
    """How a record ended.

    Attributes:
        because: what that rests on, one sentence.
    """

    word: Word
    because: str


def ending_of(
    where: str, letters: Sequence[Told], today: Rehearsed | None, *, removed: bool
) -> Ending:
    """How a record ended; delivered and filtered are inferred, as ``processor reconcile`` does.

    Args:
        where: by the committed offset: ``ended``, ``ended_beyond``, ``open`` …
        letters: those that name it.
        today: what would become of it now; `None`: nobody can tell.
        removed: whether letters of its time may be gone.
    """
    # A replay of a dead letter raises its count; a replay of a range begins at none.
    buried = any(
        told.same is not False
        and (told.found.letter.replay_id is None or told.found.letter.replay_count)
        for told in letters
    )
    if where in OPEN:
        return Ending("open", f"{OPEN[where]}{AGAIN if buried else ''}")
    if where not in {"ended", "ended_beyond"}:
        return Ending("unknown", NOT_SEEN)
    if buried:
        return Ending("dead_lettered", LETTER)
    if today is None:
        return Ending("unknown", NOT_DECODED)
    if today.fails:
        return Ending("unknown", WOULD_FAIL)
    doubt = DOUBT if removed else ""
    if today.filtered is not None:
        return Ending("filtered", f"{FILTERED.format(reason=today.filtered.value)}{doubt}")
    return Ending("delivered", f"{DELIVERED}{doubt}")


OPEN = {
    "open": "It lies at or beyond the committed offset and has not ended.",
    "no_commit": "Nothing is committed for its partition: it has not ended, or the offsets have "
    "expired.",
    "not_written": "It has not been written yet.",
}
AGAIN = " A dead letter of this connector holds it already; it may be read again."
NOT_SEEN = "The connector does not consume its topic, or the partition is no longer there."
LETTER = "A dead letter of this connector holds it."
NOT_DECODED = "It has ended without a letter that is left, and nobody can tell what it was."
WOULD_FAIL = (
    "It has ended without a letter that is left, and would fail today: the schemas have changed, "
    "the letter was lost or removed, or the committed offset was moved past it."
)
FILTERED = "Inferred: it has ended, no dead letter names it, and it is left out today ({reason})."
DELIVERED = (
    "Inferred: it has ended, no dead letter names it, and it would be sent today. Kafka holds no "
    "receipt of Experience Platform."
)
DOUBT = " Letters of its time may have been removed, so this is not certain."
