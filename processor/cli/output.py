"""How commands print: results on stdout, progress and logs on stderr, nothing that acts."""

import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.text import Text

from processor.settings.masking import printable

# JSON itself escapes only what is below a space; these steer terminals or hide text as well.
_RAW_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def console(*, stderr: bool = False, file: TextIO | None = None) -> Console:
    """A console that has colours only on a terminal, and none where NO_COLOR is set."""
    return Console(
        stderr=stderr, file=file, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def safe(text: object, style: str = "") -> Text:
    """Text from outside for a table or a line: no markup, control characters spelt out."""
    return Text(printable(str(text)), style=style)


def json_line(document: Mapping[str, Any]) -> None:
    """Print one JSON object as one line on stdout, harmless where that is a terminal."""
    text = orjson.dumps(document, default=str).decode()
    sys.stdout.write(f"{_RAW_IN_JSON.sub(_escaped, text)}\n")
    sys.stdout.flush()


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"
