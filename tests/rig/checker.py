"""One checker for every scenario: a history in, a verdict for each invariant out (pure).

What a history does not hold is not observed, and counted as such; a scenario says which invariants
it has to observe.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tests.rig import invariants_offsets as offsets
from tests.rig import invariants_records as records
from tests.rig import invariants_running as running
from tests.rig.history import History
from tests.rig.index import Index
from tests.rig.verdict import Invariant, Verdict

INVARIANTS: tuple[Invariant, ...] = (
    records.i1_conservation,
    offsets.i2_no_early_commit,
    offsets.i3_commits_are_monotone,
    offsets.i4_ownership,
    records.i5_exclusive_fate,
    records.i6_repeats_are_explained,
    records.i7_clean_means_once,
    records.i8_key_order,
    records.i9_same_identity,
    records.i10_determinism,
    records.i11_letter_is_complete,
    records.i12_blame_is_exact,
    records.i13_outage_is_no_poison,
    records.i14_poison_does_not_block,
    running.i15_bounded,
    running.i16_tokens,
    running.i17_retries,
    running.i18_liveness,
    offsets.i19_exit_codes,
    running.i20_accounting,
    running.i21_silence,
    offsets.i22_replay,
    offsets.i23_gaps,
    records.i24_filter_is_named,
)
NAMES = tuple(f"I{number}" for number in range(1, len(INVARIANTS) + 1))


@dataclass(frozen=True, slots=True)
class Sums:
    """The run in numbers; records but for `repeated_…`, which are messages.

    Attributes:
        bad: records at fault, as they were produced.
        letters: dead letters, repeated ones included.
    """

    produced: int
    delivered: int
    bad: int
    dead_lettered: int
    letters: int
    filtered: int
    lost: int
    repeated_explained: int
    repeated_unexplained: int

    def __str__(self) -> str:
        return (
            f"produced {self.produced}, delivered {self.delivered}, filtered {self.filtered}, "
            f"dead-lettered {self.dead_lettered} (expected {self.bad}), lost {self.lost}, "
            f"repeated {self.repeated_explained} explained and {self.repeated_unexplained} not"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts on one history, and what they are about in numbers."""

    verdicts: tuple[Verdict, ...]
    sums: Sums

    @property
    def broken(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.broken]

    @property
    def observed(self) -> set[str]:
        return {verdict.name for verdict in self.verdicts if verdict.observed}

    def unobserved(self, needed: Iterable[str]) -> list[str]:
        """Which of those that a scenario has to observe it did not."""
        return [name for name in NAMES if name in set(needed) - self.observed]

    def passed(self, needed: Collection[str] = ()) -> bool:
        return not self.broken and not self.unobserved(needed)

    def __str__(self) -> str:
        holds = sum(v.observed and not v.broken for v in self.verdicts)
        unseen = sum(not v.observed and not v.broken for v in self.verdicts)
        counts = f"{holds} invariants hold, {len(self.broken)} broken, {unseen} not observed."
        return "\n".join([*map(str, self.verdicts), str(self.sums), counts])


def check(history: History) -> Report:
    """Try every invariant on a history."""
    index = Index(history)
    return Report(tuple(judge(index) for judge in INVARIANTS), sums(index))


def sums(index: Index) -> Sums:
    """The run in numbers."""
    rows = [row for row in index.produced.values() if row.fate != "abort"]
    dead = {position for position in index.letters if position in index.produced}
    lost = len(records.i1_conservation(index).problems)
    unexplained = explained = 0
    for row, first, again in index.repeats():
        place = records.place_of(row)
        if not first.told or index.explanations(place, index.sent_ms(first), again.at_ms):
            explained += 1
        else:
            unexplained += 1
    return Sums(
        produced=len(rows),
        delivered=sum(
            row.position not in dead and bool(row.messages) and all(index.acceptances(row).values())
            for row in rows
        ),
        bad=sum(row.fate == "dead_letter" for row in rows),
        dead_lettered=len(dead),
        letters=sum(map(len, index.letters.values())),
        filtered=sum(row.fate == "filter" for row in rows),
        lost=lost,
        repeated_explained=explained,
        repeated_unexplained=unexplained,
    )
