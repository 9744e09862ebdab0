"""The tables of docs/mapping.md: ``python -m tests.unit.mapping.page`` writes them anew."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from processor.mapping import (
    functions_of_dates,
    functions_of_structures,
    functions_of_values,
    shapes,
    signature,
)
from processor.mapping.date_reading import KNOWN_FORMATS
from processor.mapping.functions import NOT_RUN
from processor.mapping.shapes import Kind, Shape
from processor.mapping.signature import Function
from tests.unit.mapping.samples import SAMPLES, Sample

PAGE = Path(__file__).parents[3] / "docs" / "mapping.md"

_WORDS = {
    signature.ANYTHING: "any",
    signature.PRINTABLE: "scalar",
    signature.PRINTABLE | signature.ARRAY: "scalar or array",
    signature.OBJECT: "object",
    signature.NUMBER: "number",
    signature.TEXT_OR_NUMBER: "text or number",
    signature.SIZED: "text, array or object",
}


def tables() -> Mapping[str, str]:
    """Each table by the name that its place on the page has."""
    return {
        "functions of values": _functions(functions_of_values.TABLE),
        "functions of dates": _functions(functions_of_dates.TABLE),
        "functions of structures": _functions(functions_of_structures.TABLE),
        "functions that are not run": _not_run(),
        "samples that differ": _differing(),
        "date formats": _formats(),
    }


def written(page: str) -> str:
    """The page with its tables as they are now."""
    for name, table in tables().items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page, count = re.subn(pattern, partial(_between, f"\n{table}\n"), page, flags=re.DOTALL)
        assert count == 1, name
    return page


def _between(table: str, found: re.Match[str]) -> str:
    return found[1] + table + found[2]


def _functions(functions: Iterable[Function]) -> str:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for function in functions:
        key = (_arguments(function), _given(function), function.does)
        rows.setdefault(key, []).append(function.name)
    return _table(
        ("function", "arguments", "gives", "what"),
        (
            (", ".join(f"`{name}`" for name in names), arguments, gives, what)
            for (arguments, gives, what), names in rows.items()
        ),
    )


def _arguments(function: Function) -> str:
    count = function.least if function.most is None else function.most
    if function.most is None and function.allowed(count) != function.allowed(count - 1):
        count += 1
    words = [_kinds(function.allowed(position)) for position in range(count)]
    if function.in_pairs:
        return "text, any, …"
    if not words:
        return "" if function.most == 0 else f"{_kinds(function.allowed(0))}, …"
    if function.most is None:
        return f"{', '.join(words)}, …"
    if function.name.startswith("make_"):
        return "7 numbers, text"
    needed, optional = words[: function.least], words[function.least :]
    return ", ".join(needed) + "".join(f" [, {word}]" for word in optional)


def _kinds(kinds: frozenset[Kind]) -> str:
    if kinds in _WORDS:
        return _WORDS[kinds]
    return " or ".join(sorted(_noun(kind) for kind in kinds))


def _noun(kind: Kind) -> str:
    return kind.value.removeprefix("a ").removeprefix("an ").removesuffix(" value")


def _given(function: Function) -> str:
    kinds = [function.allowed(position) for position in range(max(1, function.least))]
    arguments = [
        Shape(next(iter(one)), item=shapes.ANY) if len(one) == 1 else shapes.ANY for one in kinds
    ]
    return _noun(function.gives(arguments).kind)


def _not_run() -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in NOT_RUN.items():
        reasons.setdefault(reason, []).append(name)
    return _table(
        ("function", "why, and what else"),
        ((", ".join(f"`{name}`" for name in names), reason) for reason, names in reasons.items()),
    )


def _differing() -> str:
    return _table(
        ("Adobe's sample", "Adobe says", "here", "why"),
        (
            (
                f"`{sample.written or sample.expression}`",
                _shown(sample.says),
                _here(sample),
                sample.why,
            )
            for sample in SAMPLES
            if sample.why
        ),
    )


def _here(sample: Sample) -> str:
    given = "the same" if sample.expected == sample.says else _shown(sample.expected)
    readable = sample.written and not sample.written.endswith("(...)")
    return f"{given}, of `{sample.expression}`" if readable else given


def _shown(value: object) -> str:
    return f"`{json.dumps(value)}`"


def _formats() -> str:
    return _table(("", "format"), ((str(n), f"`{f}`") for n, f in enumerate(KNOWN_FORMATS, 1)))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head)]
    lines += [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
