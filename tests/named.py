"""Tests that pages name as ``tests/….py::test_…``."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def functions_of(file: str) -> frozenset[str]:
    """The test functions at the top of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(f.name for f in functions if f.name.startswith("test_"))


def missing(places: Iterable[str]) -> Iterator[str]:
    """Those that are not there, or are named twice."""
    seen: set[str] = set()
    for place in places:
        file, _, function = place.partition("::")
        there = Path(file).name.startswith("test_") and (ROOT / file).is_file()
        if place in seen or not there or function not in functions_of(file):
            yield place
        seen.add(place)


def shown(places: Iterable[str]) -> Iterator[str]:
    """For the cell of a table: each file with its tests."""
    for file, found in groupby(sorted(places), lambda place: place.partition("::")[0]):
        names = ", ".join(f"`{place.partition('::')[2].removeprefix('test_')}`" for place in found)
        yield f"{file.removeprefix('tests/')}: {names}"
