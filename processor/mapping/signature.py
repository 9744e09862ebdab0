"""What is said of a function of the language: its arguments, its result, how nulls are treated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from processor.mapping import shapes
from processor.mapping.shapes import Kind, Shape

TEXT = frozenset({Kind.TEXT})
NUMBER = shapes.NUMERIC
TEXT_OR_NUMBER = TEXT | NUMBER
PRINTABLE = shapes.SCALARS | {Kind.DATE}
DATE = frozenset({Kind.DATE})
TEXT_OR_DATE = TEXT | DATE
ARRAY = frozenset({Kind.ARRAY})
OBJECT = frozenset({Kind.OBJECT, Kind.MAP})
BOOLEAN = frozenset({Kind.BOOLEAN})
ANYTHING = frozenset(Kind) - {Kind.BYTES}
SIZED = TEXT | ARRAY | OBJECT

Gives = Callable[[Sequence[Shape]], Shape]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    Attributes:
        least: fewest arguments.
        most: most arguments; `None`: any number.
        takes: kinds each argument may have; the last entry stands for all that follow.
        gives: the result's shape, from the arguments' shapes.
        run: the function; `None` when the compiler writes it out (``iif`` and its like).
        does: what it does, for people; what Adobe leaves open is said here.
        sees_nulls: whether it is called with nulls; else a null argument makes the result null.
        needs_zone: whether `run` takes the zone of times without one before the arguments.
        in_pairs: whether the arguments, from this position on, are keys and values in turn.
        constant_at: which argument says how (a pattern, a zone); as a constant it is read once.
        of_constant: makes, from it and a zone, a function of the other arguments.
    """

    name: str
    least: int
    most: int | None
    takes: tuple[frozenset[Kind], ...]
    gives: Gives
    run: Callable[..., Any] | None
    does: str
    sees_nulls: bool = False
    needs_zone: bool = False
    in_pairs: bool = False
    constant_at: int | None = None
    of_constant: Callable[[str, tzinfo], Callable[..., Any]] | None = None

    @property
    def title(self) -> str:
        """How messages name it."""
        return self.name if self.name.startswith("[") else f"{self.name}()"

    def allowed(self, position: int) -> frozenset[Kind]:
        """The kinds that the argument at this position (from 0) may have."""
        return self.takes[min(position, len(self.takes) - 1)]

    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.most is None:
            words = f"at least {self.least}"
        else:
            words = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
        return f"{words} argument" if words.endswith(" 1") or words == "1" else f"{words} arguments"


def always(shape: Shape) -> Gives:
    """A result of one shape, whatever the arguments are."""
    return lambda _: shape


def one_of_arguments(arguments: Sequence[Shape]) -> Shape:
    """One of the arguments, or an element when there is one array."""
    if len(arguments) == 1 and arguments[0].kind is Kind.ARRAY:
        return arguments[0].item or shapes.ANY
    return shapes.common(arguments)


def as_given(arguments: Sequence[Shape]) -> Shape:
    """The first argument itself."""
    return arguments[0]


def element(arguments: Sequence[Shape]) -> Shape:
    """What the first argument, an array or a map, holds."""
    return arguments[0].item or shapes.ANY


def decoded(arguments: Sequence[Shape]) -> Shape:
    """One of the values of ``decode``."""
    options = arguments[1:]
    values = list(options[1::2]) + ([options[-1]] if len(options) % 2 else [])
    return shapes.common(values)


def joined_arrays(arguments: Sequence[Shape]) -> Shape:
    """An array of all that the arrays hold."""
    return shapes.array_of(shapes.common(shape.item or shapes.ANY for shape in arguments))


def array_of_arguments(arguments: Sequence[Shape]) -> Shape:
    """An array of the arguments behind the first."""
    return shapes.array_of(shapes.common(arguments[1:]))


def longer_array(arguments: Sequence[Shape]) -> Shape:
    """The first argument, an array, with the others at its end."""
    return joined_arrays([arguments[0], *map(shapes.array_of, arguments[1:])])


A_TEXT, AN_INTEGER = always(shapes.TEXT), always(shapes.INTEGER)
A_NUMBER, A_BOOLEAN, A_DATE = (
    always(shapes.NUMBER),
    always(shapes.BOOLEAN),
    always(shapes.DATE),
)
TEXTS = always(shapes.array_of(shapes.TEXT))
AN_OBJECT, OBJECTS = always(shapes.OBJECT), always(shapes.array_of(shapes.OBJECT))
A_MAP, ANY_VALUE = always(Shape(Kind.MAP, item=shapes.ANY)), always(shapes.ANY)
