"""The rows of a mapping set as one tree of destinations; finds rows that contradict each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from processor.mapping.checker import CheckedRow, fields_of, stars_of
from processor.mapping.mapping_set import MappingSet, Problem
from processor.mapping.paths import EACH, Path, Step


@dataclass(slots=True)
class Value:
    """A destination that one row fills."""

    row: CheckedRow


@dataclass(slots=True)
class Fields:
    """An object: destinations by name."""

    inside: dict[str, "Destination"] = field(default_factory=dict)


@dataclass(slots=True)
class Positions:
    """An array with named positions: ``refunds[0]``."""

    inside: dict[int, "Destination"] = field(default_factory=dict)


@dataclass(slots=True)
class Elements:
    """An array with an element for each element of a source array: ``lines[*]``.

    Attributes:
        source: path of the source array, ending in every element; `None`: no row says which.
        row_number: the row that said so.
    """

    inside: "Destination"
    source: Path | None = None
    row_number: int = 0


Destination = Value | Fields | Positions | Elements


def arrange(mapping_set: MappingSet, rows: Sequence[CheckedRow]) -> tuple[Fields, list[Problem]]:
    """Build the tree of destinations.

    Returns:
        the tree, and every duplicate or conflict between rows.
    """
    arranging = _Arranging(mapping_set)
    for row in rows:
        arranging.add(row)
    arranging.require_sources(arranging.root)
    return arranging.root, arranging.problems


def first_row(destination: Destination) -> int:
    """The number of the first row that fills a destination, or something inside it."""
    return min(_rows(destination), default=0)


class _ConflictError(ValueError):
    """Two rows that cannot both be followed."""

    mend = "Take out one of the rows, or give it another destination."


class _ArraysError(_ConflictError):
    """A row that cannot follow the arrays that its paths go through."""

    mend = "Let source and destination go through as many arrays, one inside the other."


class _Arranging:
    def __init__(self, mapping_set: MappingSet) -> None:
        self._set = mapping_set
        self.root = Fields()
        self.problems: list[Problem] = []

    def add(self, row: CheckedRow) -> None:
        try:
            sources = self._arrays(row)
            self._insert(self.root, row.row.destination.steps, row, sources)
        except _ConflictError as error:
            self._say(row.row.number, str(error), error.mend)

    def require_sources(self, destination: Destination) -> None:
        """Every ``[*]`` of a destination needs a row that says which array it follows."""
        if isinstance(destination, Value):
            return
        if isinstance(destination, Elements):
            if destination.source is None:
                self._say(
                    destination.row_number,
                    "[*] in the destination needs a [*] in a row's source",
                    "Write [0] in the destination, or take the source from every element.",
                )
            self.require_sources(destination.inside)
            return
        for inside in destination.inside.values():
            self.require_sources(inside)

    def _say(self, row_number: int, message: str, mend: str) -> None:
        self.problems.append(Problem(self._set.file, row_number, 1, message, mend))

    def _arrays(self, row: CheckedRow) -> list[Path | None]:
        """For each ``[*]`` of the destination, the source array it follows (`None`: a constant)."""
        wanted = row.row.destination.stars
        followed: list[Path | None] = [None] * wanted
        for source in fields_of(row.node):
            stars = stars_of(source.path, self._set.iterate)
            if not stars or not wanted:
                continue
            if stars < wanted:
                raise _ArraysError(
                    f"the destination has {wanted} [*], its source {source.path} only {stars}"
                )
            for level, prefix in enumerate(self._prefixes(source.path)[:wanted]):
                if followed[level] not in {None, prefix}:
                    raise _ArraysError(
                        f"the source follows two arrays at once, {followed[level]} and {prefix}"
                    )
                followed[level] = prefix
        return followed

    def _prefixes(self, path: Path) -> list[Path]:
        iterate = self._set.iterate
        start = len(iterate) if iterate is not None and path.starts_with(iterate) else 0
        return [
            Path(path.steps[: position + 1])
            for position, step in enumerate(path.steps)
            if position >= start and step is EACH
        ]

    def _insert(
        self, holder: Destination, steps: Sequence[Step], row: CheckedRow, arrays: list[Path | None]
    ) -> None:
        step, rest = steps[0], steps[1:]
        inside = _existing(holder, step)
        if isinstance(holder, Elements):
            self._follow(holder, row, arrays)
            arrays = arrays[1:]
        if not rest:
            if inside is not None:
                raise _ConflictError(
                    f"{row.row.destination} is filled already by row {_numbers(inside)}"
                )
            _put(holder, step, Value(row))
            return
        if inside is None:
            inside = _holder_for(rest[0], row)
            _put(holder, step, inside)
        elif not _takes(inside, rest[0]):
            raise _ConflictError(
                f"{row.row.destination} cannot stand beside the destination of row "
                f"{_numbers(inside)}"
            )
        self._insert(inside, rest, row, arrays)

    def _follow(self, holder: Elements, row: CheckedRow, arrays: list[Path | None]) -> None:
        array = arrays[0]
        if array is None:
            return
        if holder.source is None:
            holder.source, holder.row_number = array, row.row.number
        elif holder.source != array:
            raise _ArraysError(
                f"{row.row.destination} follows {array}, but row {holder.row_number} fills the "
                f"same array from {holder.source}"
            )


_EMPTY = Fields()


def _existing(holder: Destination, step: Step) -> Destination | None:
    match holder, step:
        case Elements(), _:
            return None if holder.inside is _EMPTY else holder.inside
        case Fields(), str():
            return holder.inside.get(step)
        case Positions(), int():
            return holder.inside.get(step)
    return None


def _put(holder: Destination, step: Step, inside: Destination) -> None:
    match holder, step:
        case Elements(), _:
            holder.inside = inside
        case Fields(), str():
            holder.inside[step] = inside
        case Positions(), int():
            holder.inside[step] = inside


def _holder_for(step: Step, row: CheckedRow) -> Destination:
    if isinstance(step, str):
        return Fields()
    if isinstance(step, int):
        return Positions()
    return Elements(_EMPTY, row_number=row.row.number)


def _takes(holder: Destination, step: Step) -> bool:
    if isinstance(step, str):
        return isinstance(holder, Fields)
    return isinstance(holder, Positions if isinstance(step, int) else Elements)


def _numbers(destination: Destination) -> str:
    return ", ".join(map(str, sorted(_rows(destination))))


def _rows(destination: Destination) -> Iterable[int]:
    if isinstance(destination, Value):
        yield destination.row.row.number
    elif isinstance(destination, Elements):
        yield from _rows(destination.inside)
    else:
        for inside in destination.inside.values():
            yield from _rows(inside)
