r"""Paths into events and entities as Data Prep writes them: `a.b`, `[n]`, `[*]`, `\.`, `${a b}`."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Each(Enum):
    """The step `[*]`: every element of an array."""

    EACH = "*"


EACH: Final = Each.EACH
Step = str | int | Each

_STEP = re.compile(
    r"""\$\{(?P<wrapped>[^}]*)\}
      | \[(?P<index>\d{1,6})\]
      | (?P<each>\[\*\])
      | (?P<dot>\.)
      | (?P<name>(?:\\.|[^.\[\]\\])+)""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"[^\W\d][\w-]*\Z")


class PathError(ValueError):
    """A path that cannot be read.

    Attributes:
        column: where in the text, from 1.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the outside in: names, array positions, every element."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        text = ""
        for step in self.steps:
            if isinstance(step, str):
                name = step if _PLAIN.match(step) else f"${{{step}}}"
                text += f".{name}" if text else name
            else:
                text += "[*]" if step is EACH else f"[{step}]"
        return text

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def stars(self) -> int:
        """How often the path says every element."""
        return sum(step is EACH for step in self.steps)

    @property
    def pointer(self) -> str:
        """The JSON pointer (RFC 6901); array positions stand as ``*``, so one rule has one."""
        return "".join(
            f"/{step.replace('~', '~0').replace('/', '~1')}" if isinstance(step, str) else "/*"
            for step in self.steps
        )

    def starts_with(self, other: "Path") -> bool:
        """Whether the other path leads to a place on the way of this one."""
        return self.steps[: len(other.steps)] == other.steps


def parse_path(text: str) -> Path:
    r"""Read a path such as ``data.items[*].sku``, ``a[0].b``, ``a\.b.c`` or ``${First Name}.x``.

    Raises:
        PathError: the text is no path; the message says why, the column where.
    """
    steps: list[Step] = []
    position, wants_name = 0, True
    while position < len(text):
        match = _STEP.match(text, position)
        column = position + 1
        if match is None:
            raise PathError(f"{text[position]!r} does not belong here", column)
        step = _step(match)
        if step is None:
            if wants_name:
                raise PathError("a name is missing before this dot", column)
            wants_name = True
        elif isinstance(step, str) != wants_name:
            what = "a name" if wants_name else "a dot or a bracket"
            raise PathError(f"{what} is expected here", column)
        else:
            steps.append(step)
            wants_name = False
        position = match.end()
    if wants_name:
        raise PathError("a name is missing at the end" if steps else "the path is empty", position)
    return Path(tuple(steps))


def _step(match: re.Match[str]) -> Step | None:
    """The step that a match stands for; `None` for a dot."""
    column = match.start() + 1
    if match["dot"]:
        return None
    if match["each"]:
        return EACH
    if match["index"]:
        return int(match["index"])
    if match["wrapped"] is not None:
        if not match["wrapped"]:
            raise PathError("${} wraps nothing", column)
        return unwrapped(match["wrapped"])
    name = re.sub(r"\\(.)", r"\1", match["name"])
    if name != name.strip() or not name:
        raise PathError("a name with blanks at its ends has to be wrapped in ${}", column)
    return name


def unwrapped(text: str) -> str:
    r"""The name inside ``${}``; Adobe writes a dot in it with and without a backslash."""
    return text.replace("\\.", ".")
