"""What compiled mappings do with values at run time: text, checks, copies without nulls."""

from datetime import datetime
from typing import Any, NoReturn

from processor.mapping import java_dates
from processor.mapping.failures import ExpressionFailed, WrongType

SAFE_INTEGER = 2**53


_KINDS: dict[type, str] = {
    str: "a text",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    dict: "an object",
    list: "an array",
    bytes: "bytes",
    datetime: "a date",
}


def kind_of(value: object) -> str:
    """The kind of a value in words; never the value."""
    return _KINDS.get(type(value), "an unknown kind of value")


def wrong_type(value: object, expected: str) -> NoReturn:
    """Refuse a source value of the wrong kind.

    Raises:
        WrongType: always.
    """
    if isinstance(value, float) and expected == "a number":
        raise WrongType("it is no finite number, JSON has no form for it")
    raise WrongType(f"it is {kind_of(value)} where {expected} is expected")


def number(value: Any) -> float | int:
    """The value, when it is a finite number.

    Raises:
        WrongType: it is not.
    """
    if value.__class__ is int or (value.__class__ is float and value - value == 0.0):
        return value
    wrong_type(value, "a number")


def text(value: Any) -> str:
    """A value as text: whole numbers without a fraction, dates in RFC 3339.

    Raises:
        ExpressionFailed: an array, an object, bytes, or a number that is not finite.
    """
    if value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        if value - value != 0.0:
            raise ExpressionFailed("a number that is not finite has no text")
        return str(int(value)) if value == int(value) and abs(value) < SAFE_INTEGER else repr(value)
    if isinstance(value, datetime):
        return java_dates.iso(value)
    raise ExpressionFailed(f"{kind_of(value)} has no text")


def clean(value: Any) -> Any:
    """A copy that JSON can hold: no nulls, no empty objects or arrays, dates as text.

    Returns:
        `None` when nothing is left.

    Raises:
        WrongType: it holds bytes or a number that is not finite.
    """
    if value.__class__ is dict:
        fields = {name: kept for name, inner in value.items() if (kept := clean(inner)) is not None}
        return fields or None
    if value.__class__ is list or value.__class__ is tuple:
        return [kept for inner in value if (kept := clean(inner)) is not None] or None
    if value is None or value.__class__ in {str, bool, int}:
        return value
    if value.__class__ is float:
        return number(value)
    if isinstance(value, datetime):
        return java_dates.iso(value)
    raise WrongType(f"it holds {kind_of(value)}, XDM has no such type")


def clean_array(value: Any) -> Any:
    """`clean` of what has to be an array.

    Raises:
        WrongType: it is none, or holds what JSON cannot.
    """
    return clean(value) if value.__class__ is list else wrong_type(value, "an array")


def clean_object(value: Any) -> Any:
    """`clean` of what has to be an object.

    Raises:
        WrongType: it is none, or holds what JSON cannot.
    """
    return clean(value) if value.__class__ is dict else wrong_type(value, "an object")


def truth(value: Any) -> bool:
    """A condition's value; null counts as false, as in Java's expression language.

    Raises:
        ExpressionFailed: it is no boolean.
    """
    if value is None:
        return False
    if value.__class__ is bool:
        return value
    raise ExpressionFailed(f"{kind_of(value)} is no condition")


def at(array: Any, position: int) -> Any:
    """An element of an array; `None` when the array is missing or too short.

    Raises:
        WrongType: it is no array.
    """
    if array is None:
        return None
    if array.__class__ is not list:
        wrong_type(array, "an array")
    return array[position] if position < len(array) else None


def elements(array: Any) -> list[Any]:
    """The elements of an array that are not null; none when it is missing.

    Raises:
        WrongType: it is no array.
    """
    if array is None:
        return []
    if array.__class__ is not list:
        wrong_type(array, "an array")
    return [element for element in array if element is not None]


def member(holder: Any, name: str) -> Any:
    """A field of an object; `None` when the object or the field is missing.

    Raises:
        WrongType: it is no object.
    """
    if holder is None:
        return None
    if holder.__class__ is not dict:
        wrong_type(holder, "an object")
    return holder.get(name)
