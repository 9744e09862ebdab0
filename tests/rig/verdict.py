"""What an invariant says of a history."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.rig.index import Index, listed

MOST_PROBLEMS = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """One invariant's.

    Attributes:
        name: ``I1`` to ``I24``.
        title: what it promises.
        looked_at: how many things it was tried on; 0: it was not observed.
        problems: what breaks it, with coordinates.
    """

    name: str
    title: str
    looked_at: int
    problems: tuple[str, ...]

    @property
    def observed(self) -> bool:
        return self.looked_at > 0

    @property
    def broken(self) -> bool:
        return bool(self.problems)

    def __str__(self) -> str:
        if self.broken:
            shown = "".join(f"\n       {problem}" for problem in self.problems[:MOST_PROBLEMS])
            more = len(self.problems) - MOST_PROBLEMS
            rest = f"\n       and {more} more" if more > 0 else ""
            return f"{self.name:>4} BROKEN ({len(self.problems)}): {self.title}{shown}{rest}"
        if not self.observed:
            return f"{self.name:>4} not observed: {self.title}"
        return f"{self.name:>4} holds ({self.looked_at}): {self.title}"


Found = tuple[int, Iterable[str]]
"""How many things were looked at, and the problems."""

Invariant = Callable[[Index], Verdict]


def invariant(title: str) -> Callable[[Callable[[Index], Found]], Invariant]:
    """Make a function that finds problems into one that gives a verdict.

    The function's name begins with that of the invariant: ``i1_conservation``.
    """

    def wrap(find: Callable[[Index], Found]) -> Invariant:
        name = find.__name__.partition("_")[0].upper()

        def judge(index: Index) -> Verdict:
            looked_at, problems = find(index)
            return Verdict(name, title, looked_at, tuple(problems))

        judge.__name__ = find.__name__
        return judge

    return wrap


__all__ = ["Found", "Invariant", "Verdict", "invariant", "listed"]
