"""An XDM schema as Experience Platform's own validator reads it: objects closed, times exact.

An exported XDM schema does not say ``additionalProperties: false``, yet a key that it does not
name is refused (``extraneous key [x] is not permitted``); and AEP's date-time is narrower than
RFC 3339. A JSON Schema validator has to be told both.

Source: AEP's pages on streaming validation and on failed batches.
"""

from collections.abc import Iterator, Mapping
from typing import Any

EXPERIENCE_EVENT = "https://ns.adobe.com/xdm/context/experienceevent"

DATE_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
"""AEP's four date-time forms: upper case, at most nine digits of a second, an offset."""

_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")
_SCHEMA_MAPS = ("properties", "patternProperties")
_LOCAL = "#/"
_MAX_DEPTH = 64

Schema = dict[str, Any]


def as_experience_platform(document: Mapping[str, Any]) -> Schema:
    """Copy a schema with objects closed and date-times as narrow as AEP's.

    An object is closed when it names properties and does not say anything about further ones; the
    properties of its ``allOf``, ``anyOf`` and ``oneOf`` count as its own. Local ``$ref`` are put
    in place, because a definition may be whole in one place and part of an ``allOf`` in another.
    A definition that contains itself stays a ``$ref`` and stays open.
    """
    closed = _rewritten(document, document, (), part=False)
    for name in ("definitions", "$defs"):
        if name in document:
            closed[name] = document[name]
    return closed


def is_event(document: Mapping[str, Any]) -> bool:
    """Whether a schema describes events (ExperienceEvent class) and not records."""
    if document.get("meta:class"):
        return bool(document["meta:class"] == EXPERIENCE_EVENT)
    return EXPERIENCE_EVENT in document.get("meta:extends", ()) or (
        "timestamp" in document.get("required", ())
    )


def with_tenant(document: Mapping[str, Any], tenant: str) -> Schema:
    """Copy a shipped schema with its ``_tenant`` field named as the organisation's."""
    properties = {
        (f"_{tenant}" if name == "_tenant" else name): schema
        for name, schema in document.get("properties", {}).items()
    }
    return {**document, "properties": properties}


def _rewritten(
    schema: Mapping[str, Any], root: Mapping[str, Any], trail: tuple[str, ...], *, part: bool
) -> Schema:
    """One schema, rewritten; a `part` of a composition is not closed on its own."""
    if len(trail) > _MAX_DEPTH:
        return dict(schema)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = None if reference in trail else _resolved(reference, root)
        if target is None:
            return dict(schema)
        return _rewritten(target, root, (*trail, reference), part=part)
    inner = (*trail, "")
    result = dict(schema)
    result.pop("definitions", None)
    result.pop("$defs", None)
    for key in _SCHEMAS:
        if isinstance(schema.get(key), Mapping):
            result[key] = _rewritten(schema[key], root, inner, part=key in {"not", "if"})
    for key in _SCHEMA_LISTS:
        if isinstance(schema.get(key), list):
            result[key] = [
                _rewritten(s, root, inner, part=True) if isinstance(s, Mapping) else s
                for s in schema[key]
            ]
    for key in _SCHEMA_MAPS:
        if isinstance(schema.get(key), Mapping):
            result[key] = {
                name: _rewritten(s, root, inner, part=False) if isinstance(s, Mapping) else s
                for name, s in schema[key].items()
            }
    if result.get("format") == "date-time":
        result.setdefault("pattern", DATE_TIME)
    if not part:
        _close(result)
    return result


def _close(schema: Schema) -> None:
    if "additionalProperties" in schema or "patternProperties" in schema:
        return
    names = dict.fromkeys(_named(schema))
    if names and not _is_open(schema):
        own = schema.get("properties", {})
        schema["properties"] = {name: own.get(name, {}) for name in names}
        schema["additionalProperties"] = False


def _named(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from schema.get("properties", {})
    for branch in _branches(schema):
        yield from _named(branch)


def _is_open(schema: Mapping[str, Any]) -> bool:
    """Whether a branch allows any key, or cannot be looked into."""
    return any(
        "$ref" in branch
        or "patternProperties" in branch
        or branch.get("additionalProperties", False) is not False
        or _is_open(branch)
        for branch in _branches(schema)
    )


def _branches(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in _SCHEMA_LISTS:
        yield from (branch for branch in schema.get(key, ()) if isinstance(branch, Mapping))


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not reference.startswith(_LOCAL):
        return None
    found: Any = root
    for step in reference.removeprefix(_LOCAL).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found if isinstance(found, Mapping) else None
