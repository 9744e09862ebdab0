"""The language once more, as plainly as it can be written: rows are read, not compiled.

What the compiled code has to agree with, and what it is timed against.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from fractions import Fraction
from typing import Any

from processor.mapping import java_dates
from processor.mapping.checker import CheckedRow, fields_of
from processor.mapping.coercions import COERCIONS
from processor.mapping.expression import Call, Field, Literal, Node, Operation
from processor.mapping.functions import FUNCTIONS
from processor.mapping.paths import EACH, Path, Step
from processor.mapping.values import clean

Bound = Mapping[tuple[Step, ...], Any]
"""The element that each ``[*]`` of a row stands at."""


class Interpreter:
    """Reads expressions of one event."""

    def __init__(self, body: Mapping[str, Any], timestamp_ms: int | None = None) -> None:
        self._body = body
        self._timestamp_ms = timestamp_ms

    def entity(
        self,
        rows: Sequence[CheckedRow],
        followed: Mapping[tuple[Step, ...], Path],
        bound: Bound | None = None,
    ) -> dict[str, Any]:
        """What the rows make of the event.

        Args:
            rows: of the mapping set.
            followed: `arrays_of` the rows.
            bound: the element of an iterated array.
        """
        entity: dict[Step, Any] = {}
        for row in rows:
            steps = row.row.destination.steps
            for positions, inside in self._elements(steps, followed, dict(bound or {})):
                value = clean(self.value(row.node, inside))
                if value is not None:
                    _put(entity, _numbered(steps, positions), value)
        made: dict[str, Any] = _whole(entity)
        return made

    def _elements(
        self, steps: Sequence[Step], followed: Mapping[tuple[Step, ...], Path], bound: Bound
    ) -> Iterable[tuple[list[int], Bound]]:
        """Each combination of elements that a destination's ``[*]`` stand for."""
        found: list[tuple[list[int], Bound]] = [([], bound)]
        for position, step in enumerate(steps):
            if step is not EACH:
                continue
            source = followed[tuple(steps[: position + 1])]
            found = [
                ([*positions, n], {**inside, source.steps: element})
                for positions, inside in found
                for n, element in enumerate(self._field(Path(source.steps[:-1]), inside) or ())
                if element is not None
            ]
        return found

    def entities(
        self,
        rows: Sequence[CheckedRow],
        followed: Mapping[tuple[Step, ...], Path],
        iterate: Path | None,
        when: Path | None = None,
    ) -> list[dict[str, Any]]:
        """What the rows make of the event, or of each element of the array they iterate."""
        messages: list[Bound] = [{}]
        if iterate is not None:
            messages = [{iterate.steps: item} for item in self.items(iterate)]
        return [
            self.entity(rows, followed, bound)
            for bound in messages
            if when is None or self._field(when, bound) is not None
        ]

    def items(self, iterate: Path) -> list[Any]:
        """The elements of the array that a mapping set iterates."""
        found = self._field(Path(iterate.steps[:-1]), {}) or ()
        return [item for item in found if item is not None]

    def value(self, node: Node, bound: Bound | None = None) -> Any:
        """What a source gives."""
        bound = bound or {}
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Field):
            return self._field(node.path, bound)
        if isinstance(node, Operation):
            return self._operated(node, bound)
        return self._called(node, bound)

    def _field(self, path: Path, bound: Bound) -> Any:
        if not bound:
            return _walked(self._body, path.steps)
        known = max(
            (steps for steps in bound if path.steps[: len(steps)] == steps), default=(), key=len
        )
        return _walked(bound[known] if known else self._body, path.steps[len(known) :])

    def _called(self, node: Call, bound: Bound) -> Any:
        if node.name == "nullify":
            return None
        if node.name == "timestamp":
            return self._timestamp_ms
        if node.name == "now":
            ms = self._timestamp_ms
            return None if ms is None else java_dates.from_millis(ms)
        if node.name == "iif":
            condition, yes, no = node.arguments
            return self.value(yes if self.value(condition, bound) else no, bound)
        if node.name == "coalesce":
            found = (self.value(argument, bound) for argument in node.arguments)
            return next((value for value in found if value is not None), None)
        if node.name == "decode":
            sought, *options = node.arguments
            key = self.value(sought, bound)
            while len(options) > 1:
                looked_for, value, *options = options
                if key == self.value(looked_for, bound):
                    return self.value(value, bound)
            return self.value(options[0], bound) if options else None
        function = FUNCTIONS.get(node.name) or COERCIONS[node.name]
        arguments = []
        for argument in node.arguments:
            arguments.append(self.value(argument, bound))
            if arguments[-1] is None and not function.sees_nulls:
                return None  # what stands behind the first null is not looked at
        assert function.run is not None
        zone = [UTC] if function.needs_zone else []
        return function.run(*zone, *arguments)

    def _operated(self, node: Operation, bound: Bound) -> Any:
        first = self.value(node.operands[0], bound)
        if node.operator in {"&&", "||"} and bool(first) == (node.operator == "||"):
            return bool(first)
        if node.operator not in {"!", "&&", "||", "==", "!="} and first is None:
            return False if node.operator in {"<", "<=", ">", ">="} else None
        values = [first, *(self.value(operand, bound) for operand in node.operands[1:])]
        if node.operator == "!":
            return not values[0]
        if node.operator in {"&&", "||"}:
            return bool(values[1])
        if node.operator in {"==", "!="}:
            return (values[0] == values[1]) == (node.operator == "==")
        if None in values:
            return False if node.operator in {"<", "<=", ">", ">="} else None
        if node.operator == "neg":
            return -values[0]
        return _calculated(node.operator, *values)


def _calculated(operator: str, left: Any, right: Any) -> Any:
    if operator in {"/", "%"} and isinstance(left, int) and isinstance(right, int):
        cut = math.trunc(Fraction(left, right))
        return cut if operator == "/" else left - cut * right
    if operator == "%":
        return math.nan if math.isinf(left) and right else math.fmod(left, right)
    table: dict[str, Any] = {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "/": lambda: left / right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
    }
    return table[operator]()


def _walked(value: Any, steps: tuple[Step, ...]) -> Any:
    for position, step in enumerate(steps):
        if step is EACH:
            rest = steps[position + 1 :]
            found = [_walked(element, rest) for element in value or () if element is not None]
            flat = EACH in rest
            return [
                one
                for element in found
                for one in ((element or ()) if flat else (element,))
                if one is not None
            ]
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
    return value


def arrays_of(
    rows: Iterable[CheckedRow], iterate: Path | None = None
) -> dict[tuple[Step, ...], Path]:
    """Each ``[*]`` of the rows' destinations with the array of the source that it follows."""
    followed: dict[tuple[Step, ...], Path] = {}
    for row in rows:
        for place, source in _arrays(row, iterate):
            followed.setdefault(place, source)
    return followed


def _arrays(row: CheckedRow, iterate: Path | None) -> Iterable[tuple[tuple[Step, ...], Path]]:
    steps = row.row.destination.steps
    places = [tuple(steps[: n + 1]) for n, step in enumerate(steps) if step is EACH]
    for field in fields_of(row.node):
        own = field.path.steps
        stars = [Path(own[: n + 1]) for n, step in enumerate(own) if step is EACH]
        if iterate is not None and field.path.starts_with(iterate):
            del stars[: iterate.stars]
        yield from zip(places, stars, strict=False)


def _numbered(steps: Sequence[Step], positions: Sequence[int]) -> list[Step]:
    left = iter(positions)
    return [next(left) if step is EACH else step for step in steps]


def _put(holder: dict[Step, Any], steps: Sequence[Step], value: Any) -> None:
    *outer, last = steps
    for step in outer:
        holder = holder.setdefault(step, {})
    holder[last] = value


def _whole(holder: Any) -> Any:
    """The entity of what was put together: objects of numbers are arrays."""
    if not isinstance(holder, dict):
        return holder
    if holder and all(isinstance(step, int) for step in holder):
        return [_whole(holder[position]) for position in sorted(holder)]
    return {step: _whole(inner) for step, inner in holder.items()}
