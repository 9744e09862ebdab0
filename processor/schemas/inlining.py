"""Named Avro types that stand in other documents, put in where a schema first uses them."""

from collections.abc import Mapping
from typing import Any

from processor.schemas import limits
from processor.schemas.avro_types import PRIMITIVES, refuse

_JSON_DEPTH_MAX = 4 * limits.SCHEMA_DEPTH_MAX
"""Objects and lists inside each other; a type inside a type takes up to four of them."""

_TYPES_MAX = 4 * limits.SCHEMA_NODES_MAX
"""Types and names written; what is no named type is put in wherever it is used, and what it uses
as well."""

_NAMED = ("record", "error", "enum", "fixed")


def inline(schema: Any, library: Mapping[str, Any]) -> Any:
    """Make a schema self-contained.

    Args:
        schema: an Avro schema as parsed JSON; it is not changed.
        library: other schemas by the full name of the type that each defines.

    Returns:
        A copy in which a type of the library is defined where it is first used, and used by name
        after that. A name that neither defines stays as it is.

    Raises:
        Refused: ``decode.schema_refused``: nested too deep, or too many.
    """
    return _Inlining(library).of(schema, "", 0)


def defined_name(schema: Any) -> str:
    """The full name of the type that a document defines; ``""`` when it defines none."""
    if not isinstance(schema, dict) or not isinstance(name := schema.get("name"), str):
        return ""
    namespace = schema.get("namespace")
    if "." in name or not isinstance(namespace, str) or not namespace:
        return name
    return f"{namespace}.{name}"


class _Inlining:
    """One schema's inlining: which names are defined so far."""

    def __init__(self, library: Mapping[str, Any]) -> None:
        self._library = library
        self._defined = set[str]()
        self._count = 0

    def of(self, schema: Any, namespace: str, depth: int) -> Any:
        if depth > _JSON_DEPTH_MAX:
            refuse(f"its types are nested more than {limits.SCHEMA_DEPTH_MAX} deep")
        self._count += 1
        if self._count > _TYPES_MAX:
            refuse(f"it has more than {limits.SCHEMA_NODES_MAX} fields and branches")
        if isinstance(schema, str):
            return self._by_name(schema, namespace, depth)
        if isinstance(schema, list):
            return [self.of(branch, namespace, depth + 1) for branch in schema]
        if not isinstance(schema, dict):
            return schema
        inner = self._define(schema, namespace)
        made = dict(schema)
        for key in ("type", "items", "values"):
            if key in made and self._is_type(made, key):
                made[key] = self.of(made[key], inner, depth + 1)
        if isinstance(made.get("fields"), list):
            made["fields"] = [self._field(field, inner, depth + 1) for field in made["fields"]]
        return made

    def _field(self, field: Any, namespace: str, depth: int) -> Any:
        if not isinstance(field, dict) or "type" not in field:
            return field
        return {**field, "type": self.of(field["type"], namespace, depth + 1)}

    @staticmethod
    def _is_type(schema: dict[str, Any], key: str) -> bool:
        """Whether a key holds a type; «type» may also just say record, enum, fixed, array, map."""
        words = {"record", "error", "enum", "fixed", "array", "map"}
        return key != "type" or not (isinstance(schema[key], str) and schema[key] in words)

    def _define(self, schema: dict[str, Any], namespace: str) -> str:
        """Note a definition; returns the namespace of what stands inside it."""
        name = schema.get("name")
        if not isinstance(name, str) or schema.get("type") not in _NAMED:
            return namespace
        if "." in name:
            self._defined.add(name)
            return name.rpartition(".")[0]
        own = schema.get("namespace", namespace)
        inner = own if isinstance(own, str) else namespace
        self._defined.add(f"{inner}.{name}" if inner else name)
        return inner

    def _by_name(self, name: str, namespace: str, depth: int) -> Any:
        if name in PRIMITIVES:
            return name
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        for known in (full, name):
            if known in self._defined:
                return known
            if known in self._library:
                found = self._library[known]
                return self.of({"namespace": "", **found}, "", depth + 1)
        return name
