"""Types each row of a mapping set against the event's Avro schema, before any record is seen."""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import NamedTuple, Protocol

from processor.mapping import coercions, shapes
from processor.mapping.expression import Call, ExpressionError, Field, Literal, Node, parse
from processor.mapping.failures import ExpressionFailed, PatternError
from processor.mapping.functions import FUNCTIONS, unknown
from processor.mapping.mapping_set import MappingSet, Problem, Row, SourceType
from processor.mapping.paths import EACH, Path, PathError, parse_path
from processor.mapping.shapes import NUMERIC, Kind, Shape
from processor.mapping.signature import Function
from processor.mapping.xdm_types import Types

_LOGICAL = frozenset({"||", "&&", "!"})
_ORDERED = frozenset({Kind.TEXT, Kind.DATE}) | NUMERIC
_COMPARABLE = _ORDERED | {Kind.BOOLEAN}


_PATH_MEND = "Correct the path, or add the field to event.avsc."
_CALL_MEND = "Correct the call; docs/mapping.md lists every function and what it takes."
_CONSTANT_MEND = "Write a constant that is not empty, or take the row out."


class Complaint(NamedTuple):
    """Why a value cannot go to a destination, and what to change.

    Attributes:
        step: position of the destination's step at fault, from 0; `None`: it is the value.
    """

    message: str
    mend: str
    step: int | None = None


class Destinations(Protocol):
    """What the target's schema says of destinations."""

    def problem(self, destination: Path, shape: Shape) -> Complaint | None:
        """Why a value of this shape cannot go there; `None` when it can."""

    def refused(self, destination: Path, constant: str | float) -> Complaint | None:
        """Why this very value cannot go there, though its type can; `None` when it can."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row whose source is read and typed.

    Attributes:
        node: the source; an attribute is a field, a constant a literal. Where the destination is
            a boolean or a date, a text is turned into one.
        shape: what the source gives, as it arrives at the destination.
    """

    row: Row
    node: Node
    shape: Shape


def check(
    mapping_set: MappingSet,
    root: Shape,
    destinations: Destinations | None = None,
    types: Types | None = None,
) -> tuple[list[CheckedRow], list[Problem]]:
    """Read and type every row.

    Args:
        mapping_set: as read from its file.
        root: shape of the event's body.
        destinations: the target's schema, when destinations are to be checked too.
        types: types of destinations; `None`: nothing is turned into what they want.

    Returns:
        the rows without problems, and every problem of the others.
    """
    problems: list[Problem] = []
    problems += _own_paths(mapping_set, root)
    checked = []
    for row in mapping_set.rows:
        typing = _Typing(mapping_set, row, root)
        result = typing.check(types)
        if result is not None and destinations is not None:
            complaint = destinations.problem(row.destination, result.shape)
            constant = result.node.value if isinstance(result.node, Literal) else None
            if complaint is None and constant is not None:
                complaint = destinations.refused(row.destination, constant)
            if complaint is not None:
                column = 1 if complaint.step is None else row.column_of(complaint.step)
                typing.say(f"{row.destination}: {complaint.message}", column, complaint.mend)
        problems += typing.problems
        if result is not None and not typing.problems:
            checked.append(result)
    return checked, problems


def nodes_of(node: Node) -> Iterable[Node]:
    """A source and all inside it."""
    yield node
    if isinstance(node, Call):
        inside = node.arguments
    else:
        inside = () if isinstance(node, Field | Literal) else node.operands
    for inner in inside:
        yield from nodes_of(inner)


def fields_of(node: Node) -> Iterable[Field]:
    """Every field that a source reads."""
    return (inner for inner in nodes_of(node) if isinstance(inner, Field))


def stars_of(path: Path, iterate: Path | None) -> int:
    """How many arrays a source path goes through, the iterated one not counted."""
    if iterate is not None and path.starts_with(iterate):
        return path.stars - iterate.stars
    return path.stars


def _own_paths(mapping_set: MappingSet, root: Shape) -> Iterable[Problem]:
    for key, path in mapping_set.own_paths().items():
        try:
            shape, stars = _walk(path, root)
        except _UnknownPathError as error:
            yield Problem(mapping_set.file, None, None, f'"{key}": {error}', _PATH_MEND)
            continue
        if key == "iterate" and stars != 1:
            yield Problem(mapping_set.file, None, None, '"iterate" goes through one array only')
        if key != "iterate" and stars_of(path, mapping_set.iterate):
            yield Problem(mapping_set.file, None, None, f'"{key}" leads to many values')
        if key in {"identity", "merged"} and shape.kind not in {Kind.OBJECT, Kind.ANY}:
            yield Problem(mapping_set.file, None, None, f'"{key}" leads to no object')


class _UnknownPathError(ValueError):
    """A path that the schema does not have; `step` says which step is unknown."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


def _walk(path: Path, root: Shape) -> tuple[Shape, int]:
    """The shape at the end of a path, and how many times it went through every element."""
    shape, stars = root, 0
    for position, step in enumerate(path.steps):
        before = Path(path.steps[:position])
        if shape.kind is Kind.ANY:
            stars += step is EACH
        elif isinstance(step, str):
            shape = _into(shape, step, before, position)
        elif shape.kind is not Kind.ARRAY:
            raise _UnknownPathError(f"{before} is {shape.kind}, not an array", position)
        else:
            stars += step is EACH
            shape = shape.item or shapes.ANY
    return shape, stars


def _into(shape: Shape, name: str, before: Path, position: int) -> Shape:
    if shape.kind is Kind.MAP:
        return shape.item or shapes.ANY
    if shape.kind is Kind.ARRAY:
        raise _UnknownPathError(
            f"{before} is an array; write {before}[0] or {before}[*] before .{name}", position
        )
    if shape.kind is not Kind.OBJECT:
        raise _UnknownPathError(f"{before} is {shape.kind}, it has no field {name!r}", position)
    if name not in shape.fields:
        place = f"{before} has" if position else "the event has"
        near = difflib.get_close_matches(name, shape.fields, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise _UnknownPathError(f"{place} no field {name!r}{meant}", position)
    return shape.fields[name]


class _Typing:
    """Types one row, collecting what is wrong with it."""

    def __init__(self, mapping_set: MappingSet, row: Row, root: Shape) -> None:
        self._set = mapping_set
        self._row = row
        self._root = root
        self.problems: list[Problem] = []

    def say(self, message: str, column: int | None, mend: str = "") -> None:
        self.problems.append(Problem(self._set.file, self._row.number, column, message, mend))

    def check(self, types: Types | None) -> CheckedRow | None:
        node = self._read()
        if node is None:
            return None
        shape = self._shape(node)
        if shape.kind is Kind.BYTES:
            self.say("bytes have no type in XDM", 1, "Take the row out.")
        if types is not None:
            try:
                node, shape = coercions.fit(node, shape, types.of(self._row.destination))
            except ExpressionFailed as error:
                self.say(str(error), 1, "Write a constant of the destination's type.")
        return CheckedRow(self._row, node, shape)

    def _read(self) -> Node | None:
        source = self._row.source
        if self._row.source_type is SourceType.STATIC:
            if isinstance(source, str | int | float | bool) and _is_constant(source):
                return Literal(source, 1)
            self.say(
                "a constant is a text that is not empty, a number or a boolean",
                1,
                _CONSTANT_MEND,
            )
            return None
        try:
            if self._row.source_type is SourceType.ATTRIBUTE:
                return Field(parse_path(source), 1)
            return parse(source)
        except (PathError, ExpressionError) as error:
            self.say(str(error), error.column, "Correct the source as docs/mapping.md writes it.")
            return None

    def _shape(self, node: Node) -> Shape:
        if isinstance(node, Literal):
            return _of_literal(node)
        if isinstance(node, Field):
            return self._field(node)
        if isinstance(node, Call):
            return self._call(node)
        return self._operation(node.operator, node.operands)

    def _field(self, node: Field) -> Shape:
        try:
            shape, _ = _walk(node.path, self._root)
        except _UnknownPathError as error:
            before = str(Path(node.path.steps[: error.step]))
            column = node.column + (len(before) + 1 if before else 0)
            self.say(str(error), column, _PATH_MEND)
            return shapes.ANY
        inner = stars_of(node.path, self._set.iterate) - self._row.destination.stars
        return shapes.array_of(shape) if inner > 0 else shape

    def _call(self, node: Call) -> Shape:
        arguments = [self._shape(argument) for argument in node.arguments]
        function = FUNCTIONS.get(node.name)
        if function is None:
            self.say(unknown(node.name), node.column, _CALL_MEND)
            return shapes.ANY
        count = len(arguments)
        if count < function.least or (function.most is not None and count > function.most):
            self.say(
                f"{function.title} takes {function.arity()}, not {count}", node.column, _CALL_MEND
            )
            return shapes.ANY
        for position, (argument, shape) in enumerate(zip(node.arguments, arguments, strict=True)):
            allowed = function.allowed(position)
            if shape.kind not in allowed and shape.kind not in {Kind.ANY, Kind.NULL}:
                self.say(
                    f"argument {position + 1} of {function.title} is {shape.kind}, "
                    f"expected {_either(allowed)}",
                    argument.column,
                    _CALL_MEND,
                )
        self._special(node, function, arguments)
        return function.gives(arguments)

    def _special(self, node: Call, function: Function, arguments: Sequence[Shape]) -> None:
        """What arity and kinds alone do not say."""
        if function.in_pairs:
            self._pairs(node, function, arguments)
        if function.name == "decode":
            for key, shape in list(zip(node.arguments, arguments, strict=True))[1:-1:2]:
                self._same_kind("decode()", arguments[0], shape, key.column)
        at = function.constant_at
        if function.of_constant is not None and at is not None and at < len(node.arguments):
            constant = node.arguments[at]
            if isinstance(constant, Literal) and isinstance(constant.value, str):
                try:
                    function.of_constant(constant.value, UTC)
                except PatternError as error:
                    self.say(str(error), constant.column)

    def _pairs(self, node: Call, function: Function, arguments: Sequence[Shape]) -> None:
        if len(arguments) % 2:
            self.say(f"{function.title} takes pairs of a key and a value", node.column)
        for key, shape in zip(node.arguments[::2], arguments[::2], strict=True):
            if shape.kind not in {Kind.TEXT, Kind.ANY}:
                self.say(f"a key of {function.title} is {shape.kind}, expected text", key.column)

    def _operation(self, operator: str, operands: Sequence[Node]) -> Shape:
        found = [self._shape(operand) for operand in operands]
        if operator in {"==", "!="}:
            self._same_kind(operator, found[0], found[1], operands[1].column)
            return shapes.BOOLEAN
        if operator in {"<", "<=", ">", ">="}:
            self._require(operator, operands, found, _ORDERED)
            self._same_kind(operator, found[0], found[1], operands[1].column)
            return shapes.BOOLEAN
        if operator in _LOGICAL:
            self._require(operator, operands, found, frozenset({Kind.BOOLEAN, Kind.NULL, Kind.ANY}))
            return shapes.BOOLEAN
        if operator == "+" and all(shape.kind is Kind.TEXT for shape in found):
            return shapes.TEXT
        self._require("-" if operator == "neg" else operator, operands, found, NUMERIC)
        return shapes.common(found)

    def _require(
        self, what: str, nodes: Sequence[Node], found: Sequence[Shape], allowed: frozenset[Kind]
    ) -> None:
        for node, shape in zip(nodes, found, strict=True):
            if shape.kind not in allowed:
                self.say(
                    f"{what} is used on {shape.kind}, expected {_either(allowed)}", node.column
                )

    def _same_kind(self, what: str, left: Shape, right: Shape, column: int) -> None:
        """Java would turn one into the other; which way is a guess, so it has to be said."""
        kinds = {left.kind, right.kind}
        if kinds & {Kind.NULL, Kind.ANY} or kinds <= NUMERIC:
            return
        if len(kinds) > 1:
            self.say(f"{what} compares {left.kind} with {right.kind}", column)
        elif not kinds <= _COMPARABLE:
            self.say(f"{what} cannot compare {left.kind}", column)


def _is_constant(value: float | str) -> bool:
    return bool(value) if isinstance(value, str) else math.isfinite(value)


def _of_literal(node: Literal) -> Shape:
    if node.value is None:
        return shapes.NULL
    if isinstance(node.value, bool):
        return shapes.BOOLEAN
    if isinstance(node.value, str):
        return shapes.TEXT
    return shapes.INTEGER if isinstance(node.value, int) else shapes.NUMBER


def _either(kinds: frozenset[Kind]) -> str:
    shown = sorted(kind.value for kind in kinds - {Kind.NULL, Kind.ANY})
    return " or ".join(shown)
