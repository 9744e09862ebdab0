"""What functions do with objects and maps, and with texts that stand for objects."""

from typing import Any

import orjson

from processor.mapping.failures import ExpressionFailed
from processor.mapping.values import text

MAX_JSON_CHARACTERS = 100_000
MAX_JSON_DEPTH = 32
MAX_PAIRS = 10_000
"""Far above what a field holds; a record cannot fill the memory with a text of its own."""


def to_object(*pairs: Any) -> dict[str, Any]:
    """An object from keys and values in turn."""
    keys, values = pairs[::2], pairs[1::2]
    if not all(isinstance(key, str) for key in keys):
        raise ExpressionFailed("a key of an object is no text")
    return dict(zip(keys, values, strict=True))


def arrays_to_objects(*pairs: Any) -> list[dict[str, Any]]:
    """An array of objects from keys and arrays in turn; the longest array says how many."""
    keys, arrays = pairs[::2], [array or [] for array in pairs[1::2]]
    if not all(isinstance(key, str) for key in keys):
        raise ExpressionFailed("a key of arrays_to_objects is no text")
    if not all(isinstance(array, list) for array in arrays):
        raise ExpressionFailed("a value of arrays_to_objects is no array")
    columns = list(zip(keys, arrays, strict=True))
    return [
        {key: array[row] for key, array in columns if row < len(array)}
        for row in range(max(map(len, arrays), default=0))
    ]


def _pairs(value: str, between: str, after: str) -> list[tuple[str, str | None]]:
    parts = value.split(after, MAX_PAIRS)
    if len(parts) > MAX_PAIRS:
        raise ExpressionFailed(f"the text holds more than {MAX_PAIRS} fields")
    found: list[tuple[str, str | None]] = []
    for part in parts:
        key, delimiter, rest = part.partition(between)
        if part.strip():
            found.append((key.strip(), rest.strip() if delimiter else None))
    return found


def str_to_object(value: Any, between: Any = ":", after: Any = ",") -> dict[str, Any] | None:
    """An object from a text such as ``a:1,b:2``; blanks around keys and values go.

    A part without the delimiter is a key without a value; of two equal keys the last counts.
    """
    return None if value is None else dict(_pairs(value, between or ":", after or ","))


def get_values(value: Any, key: Any, between: Any = ":", after: Any = ",") -> str | None:
    """The value of one key in a text such as ``a:1,b:2``; null when it is not there."""
    if value is None or key is None:
        return None
    return dict(_pairs(value, between or ":", after or ",")).get(key.strip())


def get_keys(holder: Any) -> list[str]:
    """The keys of an object, in their order."""
    return list(_object(holder))


def get(holder: Any, key: Any) -> Any:
    """One value of an object, or null."""
    return _object(holder).get(text(key))


def at(array: Any, position: float) -> Any:
    """One element of an array (from 0), or null."""
    if not isinstance(array, list):
        raise ExpressionFailed("what a position is asked of is no array")
    return array[int(position)] if 0 <= position < len(array) else None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ExpressionFailed("what a key is asked of is no object")
    return value


def _keys(key: Any) -> list[str]:
    several = key if isinstance(key, list) else [key]
    return list(dict.fromkeys(text(one) for one in several if one is not None))


def map_get_values(holder: Any, key: Any) -> Any:
    """The value of one key; of several keys the array of those that are there, each once."""
    values = _object(holder)
    if not isinstance(key, list):
        return values.get(text(key))
    return [values[one] for one in _keys(key) if one in values]


def map_has_keys(holder: Any, key: Any) -> bool:
    """Whether the key, or one of the keys, is there."""
    return any(one in _object(holder) for one in _keys(key))


def add_to_map(*holders: Any) -> dict[str, Any]:
    """One map of all; of equal keys the first counts."""
    result: dict[str, Any] = {}
    for holder in holders:
        if holder is None:
            continue
        result |= {key: value for key, value in _object(holder).items() if key not in result}
    return result


def array_to_map(array: Any, key: Any) -> dict[str, Any]:
    """A map from an array of objects, by the value that each has at a key; the first counts."""
    if not isinstance(array, list):
        raise ExpressionFailed("array_to_map takes an array of objects")
    result: dict[str, Any] = {}
    for element in array:
        name = None if element is None else _object(element).get(key)
        if name is not None:
            result.setdefault(text(name), element)
    return result


def object_to_map(*arguments: Any) -> Any:
    """A map from one object, an array of objects and a key, or keys and values in turn."""
    if len(arguments) == 1:
        return None if arguments[0] is None else _object(arguments[0])
    if isinstance(arguments[0], list):
        return array_to_map(*arguments)
    keys = [None if key is None else text(key) for key in arguments[::2]]
    return to_object(*(x for pair in zip(keys, arguments[1::2], strict=True) for x in pair))


def json_to_object(value: str) -> Any:
    """What a JSON text holds.

    Raises:
        ExpressionFailed: it is no JSON, longer than 100,000 characters or deeper than 32 levels.
    """
    if len(value) > MAX_JSON_CHARACTERS:
        raise ExpressionFailed(f"the JSON text has more than {MAX_JSON_CHARACTERS} characters")
    try:
        found = orjson.loads(value)
    except ValueError:
        raise ExpressionFailed("the text is no JSON") from None
    level = [found]
    for _ in range(MAX_JSON_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return found
    raise ExpressionFailed(f"the JSON text is nested more than {MAX_JSON_DEPTH} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
