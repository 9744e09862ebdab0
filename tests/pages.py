"""What can be read out of a Markdown page: its headings' anchors and the commands that it shows."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path


def without_blocks(text: str) -> str:
    """A page without its fenced blocks, where `#` begins a comment and not a heading."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", without_blocks(page.read_text()), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        base = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = sum(1 for one in found if re.fullmatch(rf"{re.escape(base)}(-\d+)?", one))
        found.add(f"{base}-{number}" if number else base)
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The lines of fenced blocks that run `processor`, without what only the shell sees."""
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("processor "):
                words = shlex.split(line, comments=True)
                ends = [words.index(word) for word in ("|", ">", "&&", ";") if word in words]
                yield words[1 : min(ends, default=len(words))]
