"""Why an entity breaks its XDM schema, in the words and the shape of Experience Platform.

The verdict is fastjsonschema's; this second pass over a refused entity only explains it, because
that library stops at its first finding and does not say where in the schema it was.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from processor.simulator.formats import DATE_TIME_EXPECTED, FORMATS

MOST_VIOLATIONS = 5
"""Validation stops after five errors a message. Source: ``streaming-validation.md``."""

Finding = dict[str, Any]

_TYPE_NAMES = {
    "string": "String",
    "number": "Number",
    "integer": "Integer",
    "boolean": "Boolean",
    "object": "JSONObject",
    "array": "JSONArray",
    "null": "Null",
}


class _Place(NamedTuple):
    schema: str
    entity: str

    def below(self, schema: str, *keys: str | int) -> "_Place":
        return _Place(
            f"{self.schema}/{schema}", "/".join((self.entity, *map(_pointer_token, keys)))
        )


def explain(schema: Mapping[str, Any], entity: object) -> list[Finding]:
    """At most five violations, each with Adobe's keys; empty when none was found.

    Args:
        schema: the XDM schema, closed, in JSON Schema form.
        entity: the ``xdmEntity``.
    """
    return list(islice(_walk(schema, entity, _Place("#", "#"), schema), MOST_VIOLATIONS))


def streaming_validation(findings: list[Finding]) -> list[Finding]:
    """The value of ``_streamingValidation``: one violation alone, or several under one parent."""
    if len(findings) == 1:
        return findings
    parent = {
        "schemaLocation": "#",
        "pointerToViolation": "#",
        "causingExceptions": findings,
        "message": f"{len(findings)} schema violations found",
    }
    return [parent]


def finding(keyword: str, message: str, schema: str = "#", entity: str = "#") -> Finding:
    """One violation with Adobe's keys."""
    return {
        "schemaLocation": schema,
        "pointerToViolation": entity,
        "causingExceptions": [],
        "keyword": keyword,
        "message": message,
    }


def _walk(schema: Any, value: object, place: _Place, root: Mapping[str, Any]) -> Iterator[Finding]:
    if schema is False:
        yield finding("false", "false schema always fails", place.schema, place.entity)
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield from _walk(_resolved(reference, root), value, place, root)
        return
    expected = schema.get("type")
    if expected is not None and not _is_of(value, expected):
        yield finding(
            "type",
            f"expected type: {_expected(expected)}, found: {_found(value)}",
            place.schema,
            place.entity,
        )
        return
    for keyword, broken in _SIMPLE.items():
        if keyword in schema and (message := broken(value, schema[keyword])):
            yield finding(keyword, message, place.schema, place.entity)
    for index, part in enumerate(schema.get("allOf", ())):
        yield from _walk(part, value, _Place(f"{place.schema}/allOf/{index}", place.entity), root)
    if isinstance(value, dict):
        yield from _walk_object(schema, value, place, root)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _walk(items, item, place.below("items", index), root)


def _walk_object(
    schema: Mapping[str, Any], value: Mapping[str, Any], place: _Place, root: Mapping[str, Any]
) -> Iterator[Finding]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            message = f"required key [{name}] not found"
            yield finding("required", message, place.schema, place.entity)
    rest = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in properties:
            below = place.below(f"properties/{_pointer_token(name)}", name)
            yield from _walk(properties[name], item, below, root)
        elif rest is False:
            message = f"extraneous key [{name}] is not permitted"
            yield finding("additionalProperties", message, place.schema, place.entity)
        else:
            yield from _walk(rest, item, place.below("additionalProperties", name), root)


def _is_of(value: object, expected: str | list[str]) -> bool:
    names = [expected] if isinstance(expected, str) else expected
    return any(_is_of_one(value, name) for name in names)


def _is_of_one(value: object, name: str) -> bool:
    match name:
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case _:
            return value is None


def _expected(expected: str | list[str]) -> str:
    names = [expected] if isinstance(expected, str) else expected
    return " or ".join(_TYPE_NAMES.get(name, name) for name in names)


def _found(value: object) -> str:
    match value:
        case bool():
            return "Boolean"
        case int():
            return "Long"
        case float():
            return "Double"
        case str():
            return "String"
        case dict():
            return "JSONObject"
        case list():
            return "JSONArray"
        case _:
            return "Null"


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for token in reference.removeprefix("#").strip("/").split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _pointer_token(key: str | int) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _enum(value: object, allowed: list[Any]) -> str | None:
    return None if value in allowed else f"{value} is not a valid enum value"


def _const(value: object, constant: object) -> str | None:
    return None if value == constant else f"expected constant value: {constant}"


def _pattern(value: object, pattern: str) -> str | None:
    if isinstance(value, str) and re.search(_whole(pattern), value) is None:
        return f"string [{value}] does not match pattern {pattern}"
    return None


def _whole(pattern: str) -> str:
    # Python's `$` also matches before a last line feed, that of JSON Schema does not.
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def _format(value: object, name: str) -> str | None:
    check = FORMATS.get(name)
    if not isinstance(value, str) or check is None or check(value):
        return None
    expected = f" Expected {DATE_TIME_EXPECTED}" if name == "date-time" else ""
    return f"[{value}] is not a valid {name}.{expected}"


def _minimum(value: object, least: float) -> str | None:
    number = _number(value)
    broken = number is not None and number < least
    return f"{value} is not greater or equal to {least}" if broken else None


def _maximum(value: object, most: float) -> str | None:
    number = _number(value)
    broken = number is not None and number > most
    return f"{value} is not less or equal to {most}" if broken else None


def _exclusive_minimum(value: object, bound: float) -> str | None:
    number = _number(value)
    return (
        f"{value} is not greater than {bound}" if number is not None and number <= bound else None
    )


def _exclusive_maximum(value: object, bound: float) -> str | None:
    number = _number(value)
    return f"{value} is not less than {bound}" if number is not None and number >= bound else None


def _min_length(value: object, least: int) -> str | None:
    broken = isinstance(value, str) and len(value) < least
    return f"expected minLength: {least}, actual: {len(str(value))}" if broken else None


def _max_length(value: object, most: int) -> str | None:
    broken = isinstance(value, str) and len(value) > most
    return f"expected maxLength: {most}, actual: {len(str(value))}" if broken else None


def _min_items(value: object, least: int) -> str | None:
    if isinstance(value, list) and len(value) < least:
        return f"expected minimum item count: {least}, found: {len(value)}"
    return None


def _max_items(value: object, most: int) -> str | None:
    if isinstance(value, list) and len(value) > most:
        return f"expected maximum item count: {most}, found: {len(value)}"
    return None


_SIMPLE: Mapping[str, Callable[[object, Any], str | None]] = {
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "format": _format,
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _exclusive_minimum,
    "exclusiveMaximum": _exclusive_maximum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _min_items,
    "maxItems": _max_items,
}
