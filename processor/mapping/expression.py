"""Text of a Data Prep expression to a small tree, by a grammar; nothing is run here."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from processor.mapping.paths import EACH, Each, Path, PathError, Step, parse_path, unwrapped

MAX_CHARACTERS = 4096
"""Adobe's limit of an expression's length."""

MAX_DEPTH = 48
"""Levels of nesting. Ours: deeper ones are no rule that a person reads."""

RESERVED = frozenset(
    [
        "new",
        "mod",
        "or",
        "break",
        "var",
        "lt",
        "for",
        "false",
        "while",
        "eq",
        "gt",
        "div",
        "not",
        "null",
        "continue",
        "else",
        "and",
        "ne",
        "true",
        "le",
        "if",
        "ge",
        "return",
        "_errors",
        "do",
        "function",
        "empty",
        "size",
    ]
)
"""Words that are no field names unless wrapped in ``${}``. Source: Data Prep functions, Fields."""


class ExpressionError(ValueError):
    """An expression that cannot be read.

    Attributes:
        column: where in the expression, from 1.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, number, boolean or null."""

    value: str | int | float | bool | None
    column: int
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Field:
    """A path into the event."""

    path: Path
    column: int
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; `a.f(b)` is `f(a, b)`.

    Attributes:
        method: whether it was written behind a dot.
    """

    name: str
    arguments: "tuple[Node, ...]"
    column: int
    depth: int
    method: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with one or two operands.

    Attributes:
        operator: one of ``|| && ! == != < <= > >= + - * / %`` and ``neg``.
    """

    operator: str
    operands: "tuple[Node, ...]"
    column: int
    depth: int


Node = Literal | Field | Call | Operation

_SPELLINGS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "div": "/",
    "mod": "%",
}
_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", **{c: c for c in "\\\"'"}}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_OF_PATHS = frozenset({"contains_key", "is_set"})


def parse(text: str) -> Node:
    """Read an expression.

    Raises:
        ExpressionError: it is too long, too deep or no expression; with the column.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"the expression has {len(text)} characters, Data Prep's limit is {MAX_CHARACTERS}", 1
        )
    try:
        node = _parser().parse(text)
    except VisitError as error:
        if isinstance(error.orig_exc, ExpressionError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise ExpressionError(_words(error, text), _column(error, text)) from None
    if not isinstance(node, Literal | Field | Call | Operation):
        raise TypeError(f"the grammar gave {type(node).__name__} instead of a node")
    return node


def _words(error: UnexpectedInput, text: str) -> str:
    if isinstance(error, UnexpectedCharacters):
        found = text[_position(error)]
        if found in "\"'":
            return "the text that begins here has no end"
        return f"{found!r} does not belong here"
    if isinstance(error, UnexpectedToken):
        if error.token.type == "$END":
            return "the expression ends too early"
        found = str(error.token)
        if found in RESERVED:
            return f"{found!r} is a reserved word; a field of that name is written ${{{found}}}"
        return f"{found!r} does not belong here"
    return "the expression is empty"


def _position(error: UnexpectedInput) -> int:
    """Where in the text the parser stopped, from 0."""
    position: object = error.pos_in_stream  # lark declares it as None
    return position if isinstance(position, int) else 0


def _column(error: UnexpectedInput, text: str) -> int:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return len(text) + 1
    return _position(error) + 1


@cache
def _parser() -> Lark:
    grammar = (files("processor.mapping") / "expression.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=_ToNodes(), maybe_placeholders=False)


def _at(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _deeper(nodes: tuple[Node, ...], column: int) -> int:
    depth = 1 + max((node.depth for node in nodes), default=0)
    if depth > MAX_DEPTH:
        raise ExpressionError(f"the expression is nested more than {MAX_DEPTH} levels", column)
    return depth


def _name(token: Token) -> str:
    """A field's or function's name without its wrapping; a reserved word is refused."""
    if token.type == "WRAPPED":
        return unwrapped(str(token)[2:-1])
    text = str(token)
    if text in RESERVED:
        raise ExpressionError(
            f"{text!r} is a reserved word; a field of that name is written ${{{text}}}", _at(token)
        )
    return _unescape(text)


def _unescape(text: str) -> str:
    """A name without its backslashes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _text(text: str) -> str:
    r"""What a text in quotes stands for; a backslash that escapes nothing stays, as in JEXL.

    So a regular expression may be written ``"\d+"`` or ``"\\d+"``.
    """
    return _ESCAPED.sub(_meant, text) if "\\" in text else text


def _meant(match: re.Match[str]) -> str:
    escaped = match[1]
    if len(escaped) > 1:
        return chr(int(escaped[1:], 16))
    return _ESCAPES.get(escaped, match[0])


def _number(token: Token) -> Literal:
    if len(token) > 40:  # noqa: PLR2004  far beyond 64 bits; longer ones only cost time
        raise ExpressionError("the number is too long", _at(token))
    value = int(token) if token.type == "INTEGER" else float(token)
    return Literal(value, _at(token))


class _ToNodes(Transformer[Token, Node]):
    """Builds the tree while the parser runs, so that no recursion depends on the text."""

    def start(self, children: list[Any]) -> Node:
        node: Node = children[0]
        return node

    def text(self, children: list[Token]) -> Node:
        return Literal(_text(str(children[0])[1:-1]), _at(children[0]))

    def integer(self, children: list[Token]) -> Node:
        return _number(children[0])

    def decimal(self, children: list[Token]) -> Node:
        return _number(children[0])

    def constant(self, children: list[Token]) -> Node:
        return Literal(_CONSTANTS[str(children[0])], _at(children[0]))

    def field(self, children: list[Token]) -> Node:
        return Field(Path((_name(children[0]),)), _at(children[0]))

    def member(self, children: list[Any]) -> Node:
        return _longer(children[0], _name(children[1]), _at(children[1]))

    def index(self, children: list[Any]) -> Node:
        return _longer(children[0], int(children[1][:7]), _at(children[1]))

    def each(self, children: list[Any]) -> Node:
        return _longer(children[0], EACH, _at(children[1]))

    def arguments(self, children: list[Any]) -> tuple[Node, ...]:
        return tuple(children)

    pairs = arguments

    def call(self, children: list[Any]) -> Node:
        return _call(children[0], children[1] if len(children) > 1 else ())

    def method(self, children: list[Any]) -> Node:
        arguments = (children[0], *(children[2] if len(children) > 2 else ()))  # noqa: PLR2004
        return _call(children[1], arguments, method=True)

    def array(self, children: list[Any]) -> Node:
        opening = _at(children[0])
        items = (Literal(value=True, column=opening), *(children[1] if len(children) > 1 else ()))
        return Call("to_array", items, opening, _deeper(items, opening))

    def object(self, children: list[Any]) -> Node:
        opening = _at(children[0])
        items = children[1] if len(children) > 1 else ()
        return Call("to_object", items, opening, _deeper(items, opening))

    def _binary(self, children: list[Any]) -> Node:
        left, operator, right = children
        spelling = str(operator)
        return _operation(_SPELLINGS.get(spelling, spelling), (left, right), left.column)

    equality = relation = sum = product = _binary

    def disjunction(self, children: list[Any]) -> Node:
        return _operation("||", tuple(children), children[0].column)

    def conjunction(self, children: list[Any]) -> Node:
        return _operation("&&", tuple(children), children[0].column)

    def negation(self, children: list[Any]) -> Node:
        return _operation("!", (children[1],), _at(children[0]))

    def minus(self, children: list[Any]) -> Node:
        return _operation("neg", (children[1],), _at(children[0]))


def _call(name: Token, arguments: tuple[Node, ...], *, method: bool = False) -> Call:
    column, known = _at(name), _name(name)
    if known in _OF_PATHS and len(arguments) == 1:
        arguments = (_as_path(arguments[0]),)
    return Call(known, arguments, column, _deeper(arguments, column), method)


def _as_path(argument: Node) -> Node:
    """The field that a text names, where Adobe writes paths as texts."""
    if not isinstance(argument, Literal) or not isinstance(argument.value, str):
        return argument
    try:
        return Field(parse_path(argument.value), argument.column + 1)
    except PathError as error:
        raise ExpressionError(str(error), argument.column + error.column) from None


def _operation(operator: str, operands: tuple[Node, ...], column: int) -> Operation:
    return Operation(operator, operands, column, _deeper(operands, column))


def _longer(node: Node, step: Step, column: int) -> Node:
    """A path made longer; behind a function's result a name or a position is looked up."""
    if isinstance(node, Field):
        return Field(Path((*node.path.steps, step)), node.column)
    if isinstance(step, Each):
        raise ExpressionError("only a field can be followed by [*]", column)
    operands = (node, Literal(step, column))
    return Call(
        "get" if isinstance(step, str) else "[n]", operands, column, _deeper(operands, column)
    )
