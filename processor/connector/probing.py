"""Which held record is tried next, to see whether what its kind failed by is mended (pure).

Of records that keep an order the oldest comes first. It may be bad by itself, and would be refused
after the mend too. So where all such records were tried in vain, a few of those behind one are
tried after it, one at a time and at once: when one of them passes, those before it had their chance
just now, and are given up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from processor.connector.backoff import Backoff
from processor.connector.chains import Ordered, chain_of, unpreceded
from processor.connector.passage import Passage

ROUND = 10
"""At most so many records of one chain are tried at once."""


@dataclass(slots=True)
class Probing:
    """A kind that is the set-up's fault, and how it is tried.

    Attributes:
        since: when it began, RFC 3339.
        message: what happened, and what would mend it.
        due_s: when the next record is tried, in monotonic seconds.
        attempts: one more than the records that were tried in vain.
        probe: the record that is tried now.
        mended: whether one has passed.
        round: those of one chain that were tried in vain one after the other, the last one last.
    """

    since: str
    message: str
    due_s: float
    attempts: int = 1
    probe: Passage | None = None
    mended: bool = False
    round: list[Passage] = field(default_factory=list)
    _rounds: int = 1
    _deep: bool = False

    def begin(self, passage: Passage, *, again: bool) -> None:
        """Try a record; `again`: it was tried before, as was all that could have been instead."""
        if not self.round:
            self._deep = again
        self.probe = passage

    def in_vain(self, now_s: float, backoff: Backoff) -> None:
        """What is tried failed so again: go on behind it, or wait."""
        if self.probe is not None:
            self.round.append(self.probe)
        self.attempts += 1
        if self._deep and len(self.round) < ROUND:
            self.due_s = now_s
        else:
            self.rest(now_s, backoff)

    def rest(self, now_s: float, backoff: Backoff) -> None:
        """End the round, and wait before the next one."""
        self.round.clear()
        self._rounds += 1
        self.due_s = now_s + backoff.wait_s(self._rounds)

    def sweep(self, passages: Iterable[Passage], now_s: float) -> None:
        """Forget these: they are not wanted any more."""
        gone = set(passages)
        self.round = [passage for passage in self.round if passage not in gone]
        if self.probe in gone:
            self.probe, self.due_s = None, now_s


def next_to_try(
    held: Mapping[Passage, int],
    waiting: Iterable[Passage],
    of_held_kinds: Iterable[Passage],
    round_: Iterable[Passage],
    ordered: Ordered,
) -> Passage | None:
    """The record of a kind that is tried next; `None`: each has to wait for an earlier one.

    Nothing decides a suspicion while a kind holds, so where no other is left, one goes that only a
    suspected one stands before; as it would if nothing held.

    Args:
        held: those of the kind, with how many records had been tried when each was last; 0: never.
        waiting: all that wait, of any kind.
        of_held_kinds: those of them that wait for a mend, not for a verdict.
        round_: what was tried just now; what stands behind that, in its chain, is asked for.
        ordered: what makes a chain.
    """
    tried = list(round_)
    if tried:
        chain = chain_of(tried[-1], ordered)
        held = {p: 0 for p in held if p not in tried and chain_of(p, ordered) == chain}
        waiting = [passage for passage in waiting if passage not in tried]
        of_held_kinds = [passage for passage in of_held_kinds if passage not in tried]
    may = unpreceded(held, waiting, ordered) or unpreceded(held, of_held_kinds, ordered)
    return min(may, key=held.__getitem__, default=None)
