"""Where generated code keeps what it has read: each source path once, as far out as it can be."""

import ast
from collections.abc import Callable
from typing import Any

from processor.mapping.paths import Each, Path, Step


def name(text: str) -> ast.Name:
    """Read a variable."""
    return ast.Name(text, ast.Load())


def call(function: str, *arguments: ast.expr) -> ast.Call:
    """Call a function of the namespace."""
    return ast.Call(name(function), list(arguments), [])


def assign(variable: str, value: ast.expr) -> ast.stmt:
    """Set a variable."""
    return ast.Assign([ast.Name(variable, ast.Store())], value)


def is_none(value: ast.expr) -> ast.expr:
    """Compare with `None`."""
    return ast.Compare(value, [ast.Is()], [ast.Constant(None)])


def is_not_none(value: ast.expr) -> ast.expr:
    """Compare with `None`, the other way round."""
    return ast.Compare(value, [ast.IsNot()], [ast.Constant(None)])


class Namespace:
    """Names of the generated function: variables, and constants that stand beside it."""

    def __init__(self) -> None:
        self._count = 0
        self.constants: dict[str, Any] = {}

    def variable(self) -> str:
        """A new variable."""
        self._count += 1
        return f"v{self._count}"

    def constant(self, value: Any) -> str:
        """A new constant of any kind, known by its name."""
        self._count += 1
        text = f"c{self._count}"
        self.constants[text] = value
        return text


Place = Callable[[ast.stmt, int], ast.stmt]
"""Gives a statement its line, and in lenient mode a net; the line says which row it serves."""


class Scope:
    """A block of generated code, the function's own or a loop's, with the paths it knows.

    Attributes:
        body: the statements of the block.
        known: the variable of each path that was read.
        outer: the block around this one.
    """

    def __init__(self, names: Namespace, place: Place, outer: "Scope | None" = None) -> None:
        self.body: list[ast.stmt] = []
        self._names = names
        self._place = place
        self.outer = outer
        self.known: dict[tuple[Step, ...], str] = {}

    def bind(self, path: Path, variable: str) -> None:
        """Say which variable holds the value at a path."""
        self.known[path.steps] = variable

    def add(self, statement: ast.stmt, line: int) -> None:
        """Append a statement."""
        self.body.append(self._place(statement, line))

    def inner(self) -> "Scope":
        """A block inside this one; it sees what this one knows."""
        return Scope(self._names, self._place, self)

    def read(self, path: Path, line: int) -> tuple[str, tuple[Step, ...]]:
        """Read a path into a variable, sharing what was read before.

        Returns:
            the variable, and the steps behind it that go through every element of an array.
        """
        home, known = self._nearest(path)
        variable = home.known[path.steps[:known]]
        for position in range(known, len(path.steps)):
            step = path.steps[position]
            if isinstance(step, Each):
                return variable, path.steps[position:]
            variable = home.step(variable, step, line)
            home.known[path.steps[: position + 1]] = variable
        return variable, ()

    def _nearest(self, path: Path) -> tuple["Scope", int]:
        """The block that knows most of the path; of two alike the outer one."""
        scope: Scope | None = self
        best, home = -1, self
        while scope is not None:
            longest = max(
                (n for n in range(len(path.steps) + 1) if path.steps[:n] in scope.known),
                default=-1,
            )
            if longest >= best and longest >= 0:
                best, home = longest, scope
            scope = scope.outer
        return home, best

    def step(self, holder: str, step: str | int, line: int) -> str:
        """Read one step from what a variable holds."""
        variable = self._names.variable()
        if isinstance(step, str):
            getter = ast.Attribute(name(holder), "get", ast.Load())
            value: ast.expr = ast.Call(getter, [ast.Constant(step)], [])
            if holder != "body":
                value = ast.IfExp(is_none(name(holder)), ast.Constant(None), value)
        else:
            value = call("at", name(holder), ast.Constant(step))
        self.add(assign(variable, value), line)
        return variable
