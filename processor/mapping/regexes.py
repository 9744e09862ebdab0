r"""Regular expressions in RE2's syntax, in time that grows with the text and never with luck.

Data Prep's expressions take regular expressions of Java; RE2 has no look-around and no
back-references, which is what lets a hostile text not hang a task.
"""

from collections.abc import Callable
from typing import Any

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from processor.mapping.failures import ExpressionFailed, PatternError

MAX_PATTERN = 4_096
MAX_TEXT = 100_000
MAX_PARTS = 10_000
"""Far above what a field holds; with them the worst pattern takes seconds, not days."""

_MEMORY_BYTES = 8 << 20
_MEMORY_OF_A_RECORDS_BYTES = 256 << 10
"""What one expression may take; of those that stand in records 128 are kept."""


def compiled(pattern: str, memory_bytes: int = _MEMORY_BYTES) -> Any:
    """Read a regular expression.

    Raises:
        PatternError: it is none of RE2, or too large.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"the regular expression has more than {MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory_bytes
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0] if isinstance(error, re2.error) else "it is no Unicode"
        words = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise PatternError(f"the regular expression is none of RE2: {words}") from None


def _of_record(pattern: str) -> Any:
    try:
        return compiled(pattern, _MEMORY_OF_A_RECORDS_BYTES)
    except PatternError:
        raise ExpressionFailed("the regular expression cannot be used") from None


def _checked(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ExpressionFailed(f"the text for a regular expression is longer than {MAX_TEXT}")
    return text


def _matches(expression: Any, text: str) -> bool:
    return expression.fullmatch(_checked(text)) is not None


def _extract(expression: Any, text: str) -> list[str | None] | None:
    match = expression.search(_checked(text))
    return None if match is None else [match.group(), *match.groups()]


def _explode(expression: Any, text: str) -> list[str]:
    parts: list[str] = []
    index = 0
    for match in expression.finditer(_checked(text)):
        start, end = match.span()
        if start == end == 0:
            continue  # as in Java, nothing before the text is no part
        if len(parts) >= MAX_PARTS:
            raise ExpressionFailed(f"explode would give more than {MAX_PARTS} parts")
        if start == end == len(text):
            break  # nor is what lies behind it
        parts.append(text[index:start])
        index = end
    if not index:
        return [text]
    parts.append(text[index:])
    while parts and not parts[-1]:
        parts.pop()
    return parts


def matches(text: str, pattern: str) -> bool:
    """Whether the whole text is what the expression describes, as Java's ``matches``."""
    return _matches(_of_record(pattern), text)


def extract(text: str, pattern: str) -> list[str | None] | None:
    """The first match and its groups; null when nothing matches."""
    return _extract(_of_record(pattern), text)


def explode(text: str, pattern: str = ",") -> list[str]:
    """The parts between matches; empty ones at the end go, as in Java's ``split``."""
    return _explode(_of_record(pattern), text)


def once(body: Callable[[Any, str], Any]) -> Callable[[str, Any], Callable[..., Any]]:
    """Make the function of a constant expression, which is read once."""

    def of_pattern(pattern: str, _: Any) -> Callable[..., Any]:
        expression = compiled(pattern)
        return lambda text: body(expression, text)

    return of_pattern


matcher, extractor, exploder = once(_matches), once(_extract), once(_explode)
