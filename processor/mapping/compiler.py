"""A checked mapping set to one Python function, built as a tree; no text is ever evaluated."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from types import CodeType, FunctionType
from typing import Any, Protocol

from processor.mapping import java_dates, values
from processor.mapping.checker import CheckedRow
from processor.mapping.emit import IDENTIFIERS, TIMESTAMP, Emitter
from processor.mapping.expression import Field, Literal
from processor.mapping.mapping_set import MappingSet
from processor.mapping.paths import EACH, Path
from processor.mapping.plan import Destination, Elements, Fields, Positions, Value
from processor.mapping.scope import Namespace, Scope, assign, call, is_not_none, name
from processor.mapping.shapes import Kind

FAILURES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a rule can raise on a record that does not fit it."""


class Compiled(Protocol):
    """A mapping set as a function."""

    def __call__(
        self,
        body: Mapping[str, Any],
        item: Any,
        timestamp_ms: int | None,
        identifiers: Callable[[str], str] | None = None,
        /,
    ) -> dict[str, Any]:
        """Make one entity.

        Args:
            body: of the event.
            item: element of the iterated array, else `None`.
            timestamp_ms: of the record in Kafka.
            identifiers: gives the message's UUIDs; a set without ``uuid()`` needs none.
        """


Failed = Callable[[int, BaseException], None]

_CLASSES: dict[Kind, type] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.BOOLEAN: bool}
_EXPECTED = {Kind.TEXT: "a text", Kind.INTEGER: "an integer", Kind.BOOLEAN: "a boolean"}


_FITTING = {
    Kind.DATE: "iso",
    Kind.ARRAY: "clean_array",
    Kind.OBJECT: "clean_object",
    Kind.MAP: "clean_object",
}


def _gather(value: Any, steps: tuple[Any, ...]) -> Any:
    """The values at the end of steps that go through every element, flat; nulls are left out."""
    found = [value]
    for step in steps:
        if step is EACH:
            found = [element for array in found for element in values.elements(array)]
        elif isinstance(step, str):
            found = [values.member(holder, step) for holder in found]
        else:
            found = [values.at(array, step) for array in found]
    return [element for element in found if element is not None]


def _first_known(value: Any) -> Any:
    """`coalesce` of one argument: an array's first element that is not null."""
    if isinstance(value, list):
        return next((element for element in value if element is not None), None)
    return value


def _divide(left: float, right: float) -> float:
    """As Java divides: whole numbers are cut towards zero."""
    if isinstance(left, int) and isinstance(right, int):
        whole = abs(left) // abs(right)
        return whole if (left < 0) == (right < 0) else -whole
    return left / right


def _remainder(left: float, right: float) -> float:
    """As Java's ``%``: the sign is the dividend's."""
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


_RUNTIME: dict[str, Any] = {
    "at": values.at,
    "clean": values.clean,
    "clean_array": values.clean_array,
    "clean_object": values.clean_object,
    "divide": _divide,
    "elements": values.elements,
    "first_known": _first_known,
    "float": float,
    "gather": _gather,
    "int": int,
    "bool": bool,
    "iso": java_dates.iso,
    "moment": java_dates.from_millis,
    "number": values.number,
    "remainder": _remainder,
    "str": str,
    "truth": values.truth,
    "wrong_type": values.wrong_type,
    "FAILURES": FAILURES,
    "__builtins__": {},
}


def line_of(row_number: int, *, reading: bool) -> int:
    """The line of generated code that serves a row: one for reading the event, one for the rule."""
    return 2 * row_number + (0 if reading else 1)


def row_of(line: int) -> tuple[int, bool]:
    """The row that a line serves, and whether it reads the event."""
    return line // 2, line % 2 == 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value of generated code goes: an object's field, or the end of an array."""

    holder: str
    field: str | None

    def store(self, value: ast.expr) -> ast.stmt:
        """Put a value there."""
        if self.field is None:
            append = ast.Attribute(name(self.holder), "append", ast.Load())
            return ast.Expr(ast.Call(append, [value], []))
        place = ast.Subscript(name(self.holder), ast.Constant(self.field), ast.Store())
        return ast.Assign([place], value)


def compile_set(
    mapping_set: MappingSet, root: Fields, zone: tzinfo, failed: Failed | None = None
) -> Compiled:
    """Compile a tree of destinations.

    Args:
        mapping_set: says which array is iterated, and names the file in tracebacks.
        root: the destinations, without conflicts.
        zone: zone of dates that do not say theirs.
        failed: lenient mode: a rule that fails gives null and this is told the row and the
            failure; `None`: the failure is raised, and its line says which row it was.
    """
    return _Compiling(mapping_set, zone, failed).function(root)


class _Compiling:
    def __init__(self, mapping_set: MappingSet, zone: tzinfo, failed: Failed | None) -> None:
        self._set = mapping_set
        self._zone = zone
        self._lenient = failed is not None
        self._names = Namespace()
        if failed is not None:
            self._names.constants["failed"] = failed

    def function(self, root: Fields) -> Compiled:
        scope = Scope(self._names, self._place)
        scope.bind(Path(()), "body")
        if self._set.iterate is not None:
            scope.bind(self._set.iterate, "item")
        scope.add(assign("entity", ast.Dict([], [])), 1)
        for field, inside in root.inside.items():
            self._destination(inside, Target("entity", field), scope)
        scope.add(ast.Return(name("entity")), 1)
        parameters = [ast.arg(text) for text in ("body", "item", TIMESTAMP, IDENTIFIERS)]
        definition = ast.FunctionDef(
            name="mapping",
            args=ast.arguments(parameters, [], None, [], [], None, []),
            body=scope.body,
            decorator_list=[],
        )
        definition.lineno, definition.col_offset = 1, 0
        module = ast.fix_missing_locations(ast.Module([definition], []))
        code = compile(module, self._set.file, "exec")
        body = next(const for const in code.co_consts if isinstance(const, CodeType))
        return FunctionType(body, {**_RUNTIME, **self._names.constants}, "mapping", (None,))

    def _place(self, statement: ast.stmt, line: int) -> ast.stmt:
        """Give a statement its line; in lenient mode what can fail gets a net."""
        if self._lenient and isinstance(statement, ast.Assign) and _can_fail(statement.value):
            statement = self._net(statement, line)
        for node in ast.walk(statement):
            if isinstance(node, ast.expr | ast.stmt | ast.excepthandler) and not hasattr(
                node, "lineno"
            ):
                node.lineno = node.end_lineno = line
                node.col_offset = node.end_col_offset = 0
        return statement

    def _net(self, statement: ast.Assign, line: int) -> ast.stmt:
        row_number, _ = row_of(line)
        report = ast.Expr(call("failed", ast.Constant(row_number), name("failure")))
        nothing = ast.Assign(statement.targets, ast.Constant(None))
        handler = ast.ExceptHandler(name("FAILURES"), "failure", [report, nothing])
        return ast.Try([statement], [handler], [], [])

    def _destination(self, destination: Destination, target: Target, scope: Scope) -> None:
        if isinstance(destination, Value):
            self._value(destination.row, target, scope)
        elif isinstance(destination, Fields):
            self._object(destination.inside, target, scope)
        elif isinstance(destination, Positions):
            self._positions(destination, target, scope)
        else:
            self._elements(destination, target, scope)

    def _object(self, inside: Mapping[str, Destination], target: Target, scope: Scope) -> None:
        holder = self._names.variable()
        scope.add(assign(holder, ast.Dict([], [])), 1)
        for field, destination in inside.items():
            self._destination(destination, Target(holder, field), scope)
        scope.add(ast.If(name(holder), [target.store(name(holder))], []), 1)

    def _positions(self, destination: Positions, target: Target, scope: Scope) -> None:
        holder = self._names.variable()
        scope.add(assign(holder, ast.List([], ast.Load())), 1)
        for position in sorted(destination.inside):
            self._destination(destination.inside[position], Target(holder, None), scope)
        scope.add(ast.If(name(holder), [target.store(name(holder))], []), 1)

    def _elements(self, destination: Elements, target: Target, scope: Scope) -> None:
        if destination.source is None:
            raise ValueError("a [*] that follows no array was not refused by the plan")
        line = line_of(destination.row_number, reading=True)
        array, _ = scope.read(Path(destination.source.steps[:-1]), line)
        found, element = self._names.variable(), self._names.variable()
        holder = self._names.variable()
        scope.add(assign(holder, ast.List([], ast.Load())), 1)
        some = ast.IfExp(name(array), call("elements", name(array)), ast.Constant(None))
        scope.add(assign(found, some), line)
        inner = scope.inner()
        inner.bind(destination.source, element)
        self._destination(destination.inside, Target(holder, None), inner)
        every: ast.expr = ast.BoolOp(ast.Or(), [name(found), ast.Tuple([], ast.Load())])
        scope.add(ast.For(ast.Name(element, ast.Store()), every, inner.body, []), line)
        scope.add(ast.If(name(holder), [target.store(name(holder))], []), 1)

    def _value(self, checked: CheckedRow, target: Target, scope: Scope) -> None:
        number = checked.row.number
        reading = line_of(number, reading=True)
        emitter = Emitter(self._names, scope, self._zone, number, reading)
        if isinstance(checked.node, Literal):
            if checked.node.value is not None:
                scope.add(target.store(ast.Constant(checked.node.value)), 1)
            return
        line = reading if isinstance(checked.node, Field) else line_of(number, reading=False)
        value = emitter.value(checked.node)
        if isinstance(value, ast.Name):
            variable = value.id
        else:
            variable = self._names.variable()
            scope.add(assign(variable, value), line)
        kind = checked.shape.kind
        if kind not in _CLASSES:
            made = self._names.variable()
            scope.add(assign(made, _made(kind, variable)), line)
            scope.add(ast.If(is_not_none(name(made)), [target.store(name(made))], []), line)
            return
        refuse = _class_check(kind, variable)
        if self._lenient:
            checked_name = self._names.variable()
            scope.add(assign(checked_name, _class_test(kind, variable)), line)
            variable = checked_name
            refuse = []
        store = [*refuse, target.store(name(variable))]
        scope.add(ast.If(is_not_none(name(variable)), store, []), line)


def _class_is_not(variable: str, kind: type) -> ast.expr:
    held = ast.Attribute(name(variable), "__class__", ast.Load())
    return ast.Compare(held, [ast.IsNot()], [name(kind.__name__)])


def _class_check(kind: Kind, variable: str) -> list[ast.stmt]:
    """A statement that refuses a value of another class."""
    refuse = ast.Expr(call("wrong_type", name(variable), ast.Constant(_EXPECTED[kind])))
    return [ast.If(_class_is_not(variable, _CLASSES[kind]), [refuse], [])]


def _class_test(kind: Kind, variable: str) -> ast.expr:
    """The same as an expression: the value, null, or a refusal."""
    refuse = call("wrong_type", name(variable), ast.Constant(_EXPECTED[kind]))
    wrong = ast.BoolOp(
        ast.And(), [is_not_none(name(variable)), _class_is_not(variable, _CLASSES[kind])]
    )
    return ast.IfExp(wrong, refuse, name(variable))


def _made(kind: Kind, variable: str) -> ast.expr:
    """The expression that makes a value of this kind fit for JSON, or `None`."""
    if kind is Kind.NUMBER:
        finite = ast.Compare(
            ast.BinOp(name(variable), ast.Sub(), name(variable)), [ast.Eq()], [ast.Constant(0.0)]
        )
        is_float = ast.Compare(
            ast.Attribute(name(variable), "__class__", ast.Load()), [ast.Is()], [name("float")]
        )
        fits = ast.BoolOp(ast.And(), [is_float, finite])
        checked = ast.IfExp(fits, name(variable), call("number", name(variable)))
        return ast.IfExp(is_not_none(name(variable)), checked, ast.Constant(None))
    made = call(_FITTING.get(kind, "clean"), name(variable))
    return ast.IfExp(is_not_none(name(variable)), made, ast.Constant(None))


def _can_fail(value: ast.expr) -> bool:
    return not isinstance(value, ast.Dict | ast.List | ast.Constant | ast.Name)


__all__ = ["FAILURES", "Compiled", "Failed", "compile_set", "line_of", "row_of"]
