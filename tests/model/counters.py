"""Finds every place where the product counts, and takes one out at a time."""

import ast
import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

PACKAGE = Path(__file__).parents[2] / "processor"
COUNTED = ("connector/ledger.py", "connector/books.py", "telemetry/metrics.py")
"""Here every ``+=`` and ``-=`` counts, and every sample that is added."""

CALLS = {"inc", "dec", "set", "observe", "remove", "add_metric", "add_sample"}
CLOSED = {"extra.add_sample", "kept", "child.ended"}
"""How the supervisor closes the books of a task that died."""


@dataclass(frozen=True, slots=True)
class Place:
    """One statement or call that counts.

    Attributes:
        owner: the class that holds the function; empty for a function of the module.
        text: the source of what is taken out.
    """

    file: str
    owner: str
    function: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{Path(self.file).stem}:{self.function}:{self.text}"


def places() -> list[Place]:
    """Every increment, decrement and observation, and how the books of the dead are closed."""
    files = [*sorted((PACKAGE / "connector").glob("*.py")), PACKAGE / "telemetry" / "metrics.py"]
    return [place for file in files for place in _of_file(file)]


def _of_file(file: Path) -> Iterator[Place]:
    name = file.relative_to(PACKAGE).as_posix()
    tree = ast.parse(file.read_text())
    for owner, function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.AugAssign | ast.Assign | ast.Call) and _counts(name, node):
                text = ast.unparse(node)
                where = node.lineno, node.col_offset
                yield Place(name, owner, function.name, *where, " ".join(text.split()))


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    for node in tree.body:
        if isinstance(node, kinds):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((node.name, inner) for inner in node.body if isinstance(inner, kinds))


def _counts(file: str, node: ast.AST) -> bool:
    if isinstance(node, ast.AugAssign):
        return file in COUNTED
    if isinstance(node, ast.Assign):
        closes = isinstance(node.value, ast.Call) and ast.unparse(node.targets[0]) in CLOSED
        return closes and file == "connector/supervisor.py"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        called = ast.unparse(node.func)
        of_metrics = "metrics." in called or file in COUNTED or called in CLOSED
        return node.func.attr in CALLS and of_metrics
    return False


class _TakeOut(ast.NodeTransformer):
    def __init__(self, place: Place) -> None:
        self._place = place
        self.taken = 0

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.AugAssign | ast.Assign | ast.Call) and (
            node.lineno,
            node.col_offset,
            " ".join(ast.unparse(node).split()),
        ) == (self._place.line, self._place.column, self._place.text):
            self.taken += 1
            gone = ast.Constant(None) if isinstance(node, ast.Call) else ast.Pass()
            return ast.copy_location(gone, node)
        return self.generic_visit(node)


@contextmanager
def without(place: Place) -> Iterator[None]:
    """Run the product without this."""
    module = importlib.import_module(
        "processor." + place.file.removesuffix(".py").replace("/", ".")
    )
    tree = ast.parse((PACKAGE / place.file).read_text())
    function = next(
        f for owner, f in _functions(tree) if (owner, f.name) == (place.owner, place.function)
    )
    taking = _TakeOut(place)
    changed = ast.fix_missing_locations(ast.Module([taking.visit(function)], []))
    assert taking.taken == 1
    space: dict[str, Any] = {}
    exec(compile(changed, place.file, "exec"), vars(module), space)  # noqa: S102 - less one statement
    changed_function = space[place.function]
    holders: list[Any] = (
        [getattr(module, place.owner)] if place.owner else _holders(module, place.function)
    )
    with ExitStack() as stack:
        for holder in holders:
            stack.enter_context(patch.object(holder, place.function, changed_function))
        yield


def _holders(module: ModuleType, name: str) -> list[ModuleType]:
    """Every module that has imported a function by its name, its own among them."""
    function = getattr(module, name)
    modules = [m for n, m in sys.modules.items() if n.startswith(("processor", "tests"))]
    return [m for m in modules if getattr(m, name, None) is function]
