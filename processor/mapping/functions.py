"""The functions that expressions may call: a closed list, each as Adobe documents it.

A null argument makes the result null, unless a function says that it looks at nulls itself.

Source: Data Prep mapping functions. What Adobe leaves open is said at the function.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from types import MappingProxyType
from typing import Any

from processor.mapping import bodies, java_dates, shapes
from processor.mapping.shapes import Kind, Shape

_TEXT = frozenset({Kind.TEXT})
_NUMBER = shapes.NUMERIC
_TEXT_OR_NUMBER = _TEXT | _NUMBER
_PRINTABLE = shapes.SCALARS | {Kind.DATE}
_DATE = frozenset({Kind.DATE})
_TEXT_OR_DATE = _TEXT | _DATE
_ARRAY = frozenset({Kind.ARRAY})
_BOOLEAN = frozenset({Kind.BOOLEAN})
ANYTHING = frozenset(Kind) - {Kind.BYTES}
_SIZED = frozenset({Kind.TEXT, Kind.ARRAY, Kind.OBJECT, Kind.MAP})

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
        sees_nulls: whether it is called with nulls.
        needs_zone: whether `run` takes the zone of times without one before the arguments.
        pattern_at: which argument is a date pattern; with `of_pattern` it is read only once.
        of_pattern: makes, from a pattern and a zone, a function of the other arguments.
    """

    name: str
    least: int
    most: int | None
    takes: tuple[frozenset[Kind], ...]
    gives: Gives
    run: Callable[..., Any] | None = None
    sees_nulls: bool = False
    needs_zone: bool = False
    pattern_at: int | None = None
    of_pattern: Callable[[str, tzinfo], Callable[..., Any]] | None = None

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


def _always(shape: Shape) -> Gives:
    return lambda _: shape


def _one_of_arguments(arguments: Sequence[Shape]) -> Shape:
    if len(arguments) == 1 and arguments[0].kind is Kind.ARRAY:
        return arguments[0].item or shapes.ANY
    return shapes.common(arguments)


def _decoded(arguments: Sequence[Shape]) -> Shape:
    options = arguments[1:]
    values = list(options[1::2]) + ([options[-1]] if len(options) % 2 else [])
    return shapes.common(values)


def _joined_arrays(arguments: Sequence[Shape]) -> Shape:
    return shapes.array_of(shapes.common(shape.item or shapes.ANY for shape in arguments))


_text, _int, _num = _always(shapes.TEXT), _always(shapes.INTEGER), _always(shapes.NUMBER)
_bool, _when = _always(shapes.BOOLEAN), _always(shapes.DATE)
_texts = _always(shapes.array_of(shapes.TEXT))


_TABLE: tuple[Function, ...] = (
    *(
        Function(name, 1, 2, (_TEXT,), _text, bodies.hashed(name))
        for name in ("sha1", "sha256", "sha512", "md5")
    ),
    Function("concat", 1, None, (_PRINTABLE,), _text, bodies.concat),
    *(Function(n, 1, 1, (_TEXT,), _text, str.lower) for n in ("lower", "lcase")),
    *(Function(n, 1, 1, (_TEXT,), _text, str.upper) for n in ("upper", "ucase")),
    Function("trim", 1, 1, (_TEXT,), _text, lambda value: str.strip(value, bodies.TRIMMED)),
    Function("ltrim", 1, 1, (_TEXT,), _text, lambda value: str.lstrip(value, bodies.TRIMMED)),
    Function("rtrim", 1, 1, (_TEXT,), _text, lambda value: str.rstrip(value, bodies.TRIMMED)),
    Function("substr", 3, 3, (_TEXT, _NUMBER), _text, bodies.substr),
    Function("left", 2, 2, (_TEXT, _NUMBER), _text, bodies.left),
    Function("right", 2, 2, (_TEXT, _NUMBER), _text, bodies.right),
    Function("replacestr", 3, 3, (_TEXT,), _text, bodies.replacestr),
    Function("split", 2, 2, (_TEXT,), _texts, bodies.split),
    Function("join", 2, 2, (_TEXT, _ARRAY), _text, bodies.join),
    Function("equals", 2, 2, (_TEXT,), _bool, lambda a, b: a == b, sees_nulls=True),
    Function(
        "equalsIgnoreCase", 2, 2, (_TEXT,), _bool, bodies.equals_ignoring_case, sees_nulls=True
    ),
    Function("now", 0, 0, (ANYTHING,), _when),
    Function("timestamp", 0, 0, (ANYTHING,), _int),
    Function(
        "dformat",
        2,
        2,
        (_NUMBER, _TEXT),
        _text,
        bodies.dformat,
        pattern_at=1,
        of_pattern=lambda pattern, _: java_dates.millis_formatter(pattern),
    ),
    Function(
        "format",
        2,
        2,
        (_DATE, _TEXT),
        _text,
        bodies.format_date,
        pattern_at=1,
        of_pattern=lambda pattern, _: java_dates.formatter(pattern),
    ),
    Function(
        "date",
        1,
        3,
        (_TEXT_OR_DATE, _TEXT, _DATE),
        _when,
        bodies.date,
        sees_nulls=True,
        needs_zone=True,
        pattern_at=1,
        of_pattern=bodies.date_reader,
    ),
    Function("zone_date_to_utc", 1, 1, (_DATE,), _when, bodies.to_utc),
    Function("zone_date_to_zone", 2, 2, (_DATE, _TEXT), _when, bodies.to_zone),
    Function("size_of", 1, 1, (_SIZED,), _int, bodies.size_of, sees_nulls=True),
    Function("is_empty", 1, 1, (_SIZED,), _bool, bodies.is_empty, sees_nulls=True),
    Function("contains_key", 1, 1, (ANYTHING,), _bool, bodies.contains, sees_nulls=True),
    Function("to_object", 0, None, (ANYTHING,), _always(shapes.OBJECT), bodies.to_object, True),  # noqa: FBT003
    Function("nullify", 0, 0, (ANYTHING,), _always(shapes.NULL)),
    Function("coalesce", 1, None, (ANYTHING,), _one_of_arguments),
    Function("first", 1, None, (ANYTHING,), _one_of_arguments, bodies.first, sees_nulls=True),
    Function("last", 1, None, (ANYTHING,), _one_of_arguments, bodies.last, sees_nulls=True),
    Function(
        "to_array",
        1,
        None,
        (_BOOLEAN, ANYTHING),
        lambda arguments: shapes.array_of(shapes.common(arguments[1:])),
        bodies.to_array,
        sees_nulls=True,
    ),
    Function(
        "add_to_array",
        1,
        None,
        (_ARRAY, ANYTHING),
        lambda arguments: _joined_arrays([arguments[0], *map(shapes.array_of, arguments[1:])]),
        bodies.add_to_array,
        sees_nulls=True,
    ),
    Function(
        "join_arrays", 1, None, (_ARRAY,), _joined_arrays, bodies.join_arrays, sees_nulls=True
    ),
    Function("iif", 3, 3, (_BOOLEAN, ANYTHING), lambda shape: shapes.common(shape[1:])),
    Function("decode", 2, None, (_PRINTABLE, ANYTHING), _decoded),
    Function("min", 1, None, (_PRINTABLE | _ARRAY,), _one_of_arguments, bodies.smallest),
    Function("max", 1, None, (_PRINTABLE | _ARRAY,), _one_of_arguments, bodies.largest),
    Function("to_integer", 1, 1, (_TEXT_OR_NUMBER,), _int, bodies.to_integer),
    Function("to_bigint", 1, 1, (_TEXT_OR_NUMBER,), _num, bodies.to_bigint),
    Function("to_decimal", 1, 1, (_TEXT_OR_NUMBER,), _num, bodies.to_decimal),
    Function("to_float", 1, 1, (_TEXT_OR_NUMBER,), _num, bodies.to_decimal),
)

FUNCTIONS: Mapping[str, Function] = MappingProxyType({f.name: f for f in _TABLE})
"""Every function by name."""

NOT_RUN = frozenset(
    [
        "explode",
        "instr",
        "lpad",
        "rpad",
        "extract_regex",
        "matches_regex",
        "crc32",
        "get_url_protocol",
        "get_url_host",
        "get_url_port",
        "get_url_path",
        "get_url_query_str",
        "date_part",
        "set_date_part",
        "make_date_time",
        "make_timestamp",
        "arrays_to_object",
        "str_to_object",
        "get_keys",
        "get_values",
        "map_get_values",
        "upsert_array_append",
        "upsert_array_replace",
        "json_to_object",
        "uuid",
        "guid",
    ]
)
"""What Data Prep documents and this product does not run."""

RANDOM = frozenset({"uuid", "guid"})


def unknown(name: str) -> str:
    """Say why there is no such function, and which one may have been meant."""
    if name in RANDOM:
        return f"{name}() is not run here: a record sent again has to give the same message"
    near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else ""
    if name in NOT_RUN or name.startswith("ua_"):
        return f"{name}() is a Data Prep function that is not run here{meant}"
    return f"there is no function {name}(){meant}"
