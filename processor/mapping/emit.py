"""An expression's tree to a tree of Python, with Data Prep's rules about nulls written out."""

import ast
import functools
from collections.abc import Sequence
from datetime import tzinfo

from processor.mapping.coercions import COERCIONS
from processor.mapping.expression import Call, Field, Literal, Node
from processor.mapping.functions import FUNCTIONS
from processor.mapping.scope import Namespace, Scope, call, is_not_none, name
from processor.mapping.signature import Function

_COMPARISONS: dict[str, ast.cmpop] = {
    "==": ast.Eq(),
    "!=": ast.NotEq(),
    "<": ast.Lt(),
    "<=": ast.LtE(),
    ">": ast.Gt(),
    ">=": ast.GtE(),
}
_ARITHMETIC: dict[str, ast.operator] = {"+": ast.Add(), "-": ast.Sub(), "*": ast.Mult()}
_WRITTEN_OUT = {"/": "divide", "%": "remainder"}
_CONDITIONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "&&", "||", "!"})

TIMESTAMP = "timestamp_ms"
"""Variable of the record's Kafka timestamp, milliseconds since the epoch or `None`."""

IDENTIFIERS = "identifiers"
"""Variable of what gives the UUIDs of a message: called with the rule that asks."""


class Emitter:
    """Writes expressions of one row into a block of code.

    Args:
        zone: zone of dates that do not say theirs.
        row_number: the row's; UUIDs are made of it.
        line: line of what the row reads from the event.
    """

    def __init__(
        self, names: Namespace, scope: Scope, zone: tzinfo, row_number: int, line: int
    ) -> None:
        self._names = names
        self._scope = scope
        self._zone = zone
        self._row_number = row_number
        self._line = line

    def value(self, node: Node) -> ast.expr:
        """The expression that gives a node's value, or null."""
        if isinstance(node, Literal):
            return ast.Constant(node.value)
        if isinstance(node, Field):
            variable, rest = self._scope.read(node.path, self._line)
            if not rest:
                return name(variable)
            return call("gather", name(variable), name(self._names.constant(rest)))
        if isinstance(node, Call):
            return self._call(node)
        return self._operation(node.operator, node.operands)

    def _condition(self, node: Node) -> ast.expr:
        """A value that Python takes as true exactly when the condition holds."""
        value = self.value(node)
        if not isinstance(node, Literal | Field | Call) and node.operator in _CONDITIONS:
            return value
        return call("truth", value)

    def _known(self, node: Node) -> tuple[ast.expr, ast.expr | None]:
        """A node's value, and the test that it is not null (`None` when it cannot be)."""
        value = self.value(node)
        if isinstance(value, ast.Constant) and value.value is not None:
            return value, None
        if isinstance(value, ast.Name):
            return value, is_not_none(value)
        variable = self._names.variable()
        walrus = ast.NamedExpr(ast.Name(variable, ast.Store()), value)
        return name(variable), is_not_none(walrus)

    def _unless_null(self, function: ast.expr, nodes: Sequence[Node]) -> ast.expr:
        """Call a function, or give null when an argument is null."""
        known = [self._known(node) for node in nodes]
        result: ast.expr = ast.Call(function, [value for value, _ in known], [])
        return _guarded([test for _, test in known if test is not None], result)

    def _call(self, node: Call) -> ast.expr:
        if node.name in UUIDS:
            return call(IDENTIFIERS, ast.Constant(f"{self._row_number}:{node.column}"))
        special = getattr(self, f"_{node.name}", None) if node.name in _SPECIAL else None
        if special is not None:
            written: ast.expr = special(node.arguments)
            return written
        function = FUNCTIONS.get(node.name) or COERCIONS[node.name]
        run, arguments = self._function(function, node.arguments)
        if function.sees_nulls:
            return ast.Call(run, [self.value(argument) for argument in arguments], [])
        return self._unless_null(run, arguments)

    def _function(
        self, function: Function, arguments: Sequence[Node]
    ) -> tuple[ast.expr, Sequence[Node]]:
        """The function's name in the namespace, and the arguments that are left for it."""
        at = function.constant_at
        if at is not None and function.of_constant is not None and at < len(arguments):
            constant = arguments[at]
            if isinstance(constant, Literal) and isinstance(constant.value, str):
                made = function.of_constant(constant.value, self._zone)
                return name(self._names.constant(made)), [*arguments[:at], *arguments[at + 1 :]]
        run = function.run
        if function.needs_zone and run is not None:
            run = functools.partial(run, self._zone)
        return name(self._names.constant(run)), arguments

    def _nullify(self, _: Sequence[Node]) -> ast.expr:
        return ast.Constant(None)

    def _now(self, _: Sequence[Node]) -> ast.expr:
        return _guarded([is_not_none(name(TIMESTAMP))], call("moment", name(TIMESTAMP)))

    def _timestamp(self, _: Sequence[Node]) -> ast.expr:
        return name(TIMESTAMP)

    def _iif(self, arguments: Sequence[Node]) -> ast.expr:
        condition, yes, no = arguments
        return ast.IfExp(self._condition(condition), self.value(yes), self.value(no))

    def _coalesce(self, arguments: Sequence[Node]) -> ast.expr:
        if len(arguments) == 1:
            return call("first_known", self.value(arguments[0]))
        *rest, last = arguments
        result = self.value(last)
        for node in reversed(rest):
            value, test = self._known(node)
            result = value if test is None else ast.IfExp(test, value, result)
        return result

    def _decode(self, arguments: Sequence[Node]) -> ast.expr:
        key, *options = arguments
        result: ast.expr = ast.Constant(None)
        if len(options) % 2:
            result = self.value(options.pop())
        variable = self._names.variable()
        pairs = list(zip(options[::2], options[1::2], strict=True))
        for position in reversed(range(len(pairs))):
            looked_for, value = pairs[position]
            left: ast.expr = name(variable)
            if position == 0:
                left = ast.NamedExpr(ast.Name(variable, ast.Store()), self.value(key))
            test = ast.Compare(left, [ast.Eq()], [self.value(looked_for)])
            result = ast.IfExp(test, self.value(value), result)
        return result

    def _operation(self, operator: str, operands: Sequence[Node]) -> ast.expr:
        if operator == "!":
            return ast.UnaryOp(ast.Not(), self._condition(operands[0]))
        if operator in {"&&", "||"}:
            joint = ast.And() if operator == "&&" else ast.Or()
            test = ast.BoolOp(joint, [self._condition(operand) for operand in operands])
            return ast.IfExp(test, ast.Constant(value=True), ast.Constant(value=False))
        if operator in {"==", "!="}:
            left, right = map(self.value, operands)
            return ast.Compare(left, [_COMPARISONS[operator]], [right])
        known = [self._known(operand) for operand in operands]
        values = [value for value, _ in known]
        tests = [test for _, test in known if test is not None]
        if operator in _COMPARISONS:
            compared = ast.Compare(values[0], [_COMPARISONS[operator]], [values[1]])
            return ast.BoolOp(ast.And(), [*tests, compared]) if tests else compared
        if operator == "neg":
            return _guarded(tests, ast.UnaryOp(ast.USub(), values[0]))
        if operator in _WRITTEN_OUT:
            return _guarded(tests, call(_WRITTEN_OUT[operator], *values))
        return _guarded(tests, ast.BinOp(values[0], _ARITHMETIC[operator], values[1]))


UUIDS = frozenset({"uuid", "guid"})
_SPECIAL = frozenset({"nullify", "now", "timestamp", "iif", "coalesce", "decode"})


def _guarded(tests: list[ast.expr], result: ast.expr) -> ast.expr:
    """The result, or null unless all tests hold."""
    if not tests:
        return result
    test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
    return ast.IfExp(test, result, ast.Constant(None))
