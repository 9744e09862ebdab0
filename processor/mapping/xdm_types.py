"""Which type an XDM schema gives a destination, as far as it says."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from processor.mapping.mapping_set import TENANT
from processor.mapping.paths import Path

_MAX_DEPTH = 32
_TYPES = frozenset({"boolean", "integer", "number"})
_FORMATS = frozenset({"date", "date-time"})

Schema = Mapping[str, Any]


class Types(Protocol):
    """What says the types of destinations."""

    def of(self, destination: Path) -> str | None:
        """The type of a destination.

        Returns:
            ``boolean``, ``integer``, ``number``, ``date`` or ``date-time``; `None`: another one, or
            none is known.
        """


class XdmTypes:
    """The types of one XDM schema in JSON Schema form.

    Args:
        tenant: name of the tenant; our own schemas have ``_tenant`` in its place.
    """

    def __init__(self, document: Schema, tenant: str) -> None:
        self._document = document
        self._tenant = f"_{tenant}"

    def of(self, destination: Path) -> str | None:
        """The type of a destination."""
        found = list(self._whole([self._document], 0))
        for position, step in enumerate(destination.steps):
            inside = [
                inner
                for schema in found
                for inner in (
                    self._fields(schema, step, first=position == 0)
                    if isinstance(step, str)
                    else [schema.get("items")]
                )
            ]
            found = list(self._whole(inside, 0))
        for schema in found:
            if schema.get("type") in _TYPES:
                return str(schema["type"])
            if schema.get("type") == "string" and schema.get("format") in _FORMATS:
                return str(schema["format"])
        return None

    def _fields(self, schema: Schema, name: str, *, first: bool) -> Iterable[Any]:
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            if first and name == self._tenant and name not in properties:
                name = TENANT
            if name in properties:
                return [properties[name]]
        return [schema.get("additionalProperties")]

    def _whole(self, schemas: Iterable[Any], depth: int) -> Iterable[Schema]:
        """The schemas with all that they are made of; what is no schema is left out."""
        for schema in schemas:
            if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
                continue
            yield schema
            parts = schema.get("allOf")
            if isinstance(parts, list):
                yield from self._whole(parts, depth + 1)
            if isinstance(schema.get("$ref"), str):
                yield from self._whole([self._pointed(schema["$ref"])], depth + 1)

    def _pointed(self, pointer: str) -> Any:
        """What a local reference leads to; `None` when nothing."""
        if not pointer.startswith("#/"):
            return None
        place: Any = self._document
        for part in pointer[2:].split("/"):
            if not isinstance(place, Mapping):
                return None
            place = place.get(part.replace("~1", "/").replace("~0", "~"))
        return place
