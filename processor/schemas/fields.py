"""The fields of an event, flat: each path with its type and what it means."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from processor.schemas.avro_types import PRIMITIVES

_NAMED = frozenset({"record", "error", "enum", "fixed"})

Place = tuple[str, str]
"""Full name of a record and name of a field in it."""


class FieldOf(NamedTuple):
    """One field of an event.

    Attributes:
        path: from the event's root as mapping sets write it, ``[*]`` for elements of arrays, ``*``
            for the keys of a map.
        type: in words, such as ``long or null``; an array's is that of its elements with ``[]``.
        doc: what the schema says of it.
        place: where it is defined; one place can have several paths.
    """

    path: str
    type: str
    doc: str
    place: Place


def fields_of(avro: Mapping[str, Any]) -> Iterator[FieldOf]:
    """Every field of a self-contained schema of a record, in its order, outer before inner.

    Args:
        avro: vetted, so it does not contain itself.
    """
    named: dict[str, Any] = {}
    _note(avro, "", named)
    yield from _record(avro, "", named, "")


def full_name(schema: Mapping[str, Any], namespace: str) -> str:
    """The full name of a named type that stands in a namespace."""
    name = str(schema["name"])
    own = schema.get("namespace", namespace)
    return name if "." in name or not own else f"{own}.{name}"


def _note(schema: Any, namespace: str, named: dict[str, Any]) -> None:
    """Keep every named type by its full name, with the namespace of what stands inside it."""
    if isinstance(schema, list):
        for branch in schema:
            _note(branch, namespace, named)
    if not isinstance(schema, Mapping):
        return
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _NAMED:
        name = full_name(schema, namespace)
        namespace = name.rpartition(".")[0]
        named[name] = schema
    for key in ("type", "items", "values"):
        if not isinstance(schema.get(key), str):
            _note(schema.get(key), namespace, named)
    for field in schema.get("fields", ()):
        _note(field["type"], namespace, named)


def _record(
    schema: Mapping[str, Any], path: str, named: Mapping[str, Any], namespace: str
) -> Iterator[FieldOf]:
    name = full_name(schema, namespace)
    inside = name.rpartition(".")[0]
    for field in schema["fields"]:
        own = str(field["name"]).replace(".", "\\.")
        whole = f"{path}.{own}" if path else own
        kind = _words(field["type"], named, inside)
        yield FieldOf(whole, kind, str(field.get("doc", "")), (name, field["name"]))
        yield from _below(field["type"], whole, named, inside)


def _below(schema: Any, path: str, named: Mapping[str, Any], namespace: str) -> Iterator[FieldOf]:
    """The fields inside a type."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _below(branch, path, named, namespace)
    elif isinstance(schema, str):
        found, where = _defined(schema, named, namespace)
        if found is not None:
            yield from _below(found, path, named, where)
    elif not isinstance(schema["type"], str):
        yield from _below(schema["type"], path, named, namespace)
    elif schema["type"] in {"record", "error"}:
        yield from _record(schema, path, named, namespace)
    elif schema["type"] == "array":
        yield from _below(schema["items"], f"{path}[*]", named, namespace)
    elif schema["type"] == "map":
        yield from _below(schema["values"], f"{path}.*", named, namespace)


def _defined(
    name: str, named: Mapping[str, Any], namespace: str
) -> tuple[Mapping[str, Any] | None, str]:
    """A type by name, and the namespace that its definition stands in."""
    if name in PRIMITIVES:
        return None, ""
    full = name if "." in name or not namespace else f"{namespace}.{name}"
    found = full if full in named else name
    return named.get(found), found.rpartition(".")[0]


def _words(schema: Any, named: Mapping[str, Any], namespace: str) -> str:
    if isinstance(schema, list):
        kinds = [_words(branch, named, namespace) for branch in schema]
        return " or ".join(sorted(kinds, key=lambda kind: kind == "null"))
    if isinstance(schema, str):
        found, where = _defined(schema, named, namespace)
        return schema if found is None else _words(found, named, where)
    kind = schema["type"]
    if not isinstance(kind, str):
        return _words(kind, named, namespace)
    if kind == "array":
        return f"{_words(schema['items'], named, namespace)}[]"
    if kind == "map":
        return f"map of {_words(schema['values'], named, namespace)}"
    if kind == "enum":
        return f"enum {', '.join(schema['symbols'])}"
    if kind == "fixed":
        return f"fixed {schema['size']}"
    logical = schema.get("logicalType")
    return f"{kind} ({logical})" if logical else str(kind)
