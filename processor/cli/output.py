"""How commands print: results on stdout, progress and logs on stderr, nothing that acts."""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.text import Text

from processor.settings.masking import printable

# JSON itself escapes only what is below a space; these steer terminals or hide text as well.
_RAW_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)

_FORMULA = ("=", "+", "-", "@")
"""What a cell begins with that spreadsheets take for a formula."""


def console(*, stderr: bool = False, file: TextIO | None = None) -> Console:
    """A console that has colours only on a terminal, and none where NO_COLOR is set."""
    return Console(
        stderr=stderr, file=file, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def safe(text: object, style: str = "") -> Text:
    """Text from outside for a table or a line: no markup, control characters spelt out."""
    return Text(printable(str(text)), style=style)


def safe_lines(text: str) -> Text:
    """As `safe`, of several lines."""
    return Text("\n").join(safe(line) for line in text.splitlines())


def json_line(document: Mapping[str, Any]) -> None:
    """Print one JSON object as one line on stdout, harmless where that is a terminal."""
    sys.stdout.write(f"{json_text(document)}\n")
    sys.stdout.flush()


def json_text(document: Mapping[str, Any]) -> str:
    """One JSON object in one line, harmless where a terminal shows it."""
    return _RAW_IN_JSON.sub(_escaped, orjson.dumps(document, default=str).decode())


def json_block(document: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout for people to read, harmless where that is a terminal."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(f"{_RAW_IN_JSON.sub(_escaped, text)}\n")
    sys.stdout.flush()


def tab_line(cells: Iterable[object]) -> None:
    """Print one line of columns on stdout, for programs; a spreadsheet finds no formula in it."""
    sys.stdout.write("\t".join(map(_cell, cells)) + "\n")
    sys.stdout.flush()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, str) and value.startswith(_FORMULA):
        value = f"'{value}"
    return safe(value).plain


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"
