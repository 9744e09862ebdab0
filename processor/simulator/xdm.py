"""The XDM schemas that the simulator validates by, compiled once with fastjsonschema."""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import fastjsonschema
import orjson

from processor.errors import Misconfigured
from processor.simulator.formats import FORMATS
from processor.simulator.violations import Finding, explain, finding

TENANT_PLACEHOLDER = "_tenant"
"""Stands for the tenant's own key in the schemas that come with the product."""
MOST_TENANTS = 32
_TIME_SERIES = ("https://ns.adobe.com/xdm/context/experienceevent", "time-series")


class XdmSchema:
    """One XDM schema, ready to validate entities of any tenant.

    Attributes:
        document: as its file has it.
    """

    def __init__(self, name: str, document: Mapping[str, Any], source: str) -> None:
        self.name = name
        self.id = str(document.get("$id", ""))
        self.time_series = _is_time_series(document)
        self.tenant_owned = TENANT_PLACEHOLDER not in document.get("properties", {})
        self.document = document
        self._source = source
        self._closed = _closed({k: v for k, v in document.items() if k not in {"$id", "id"}})
        self._compiled: dict[str, tuple[Mapping[str, Any], Callable[[Any], Any]]] = {}
        self._variant(TENANT_PLACEHOLDER)

    def __repr__(self) -> str:
        return f"XdmSchema({self.name!r}, {self.id!r})"

    def violations(self, entity: object, *, tenant: str | None) -> list[Finding]:
        """What is wrong with an entity: at most five findings, none when it is valid.

        Args:
            entity: the ``xdmEntity``.
            tenant: tenant id that stands for the placeholder; `None`: whichever the entity uses.
        """
        key = TENANT_PLACEHOLDER
        if not self.tenant_owned:
            key = f"_{tenant}" if tenant is not None else _tenant_key(entity)
        document, validate = self._variant(key)
        try:
            validate(entity)
        except fastjsonschema.JsonSchemaException as error:
            return explain(document, entity) or [finding("schema", str(error))]
        return []

    def _variant(self, key: str) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        found = self._compiled.get(key)
        if found is not None:
            return found
        if len(self._compiled) >= MOST_TENANTS:
            return self._compiled[TENANT_PLACEHOLDER]
        document = self._closed
        if key != TENANT_PLACEHOLDER:
            properties = {
                key if name == TENANT_PLACEHOLDER else name: node
                for name, node in document["properties"].items()
            }
            document = {**document, "properties": properties}
        self._compiled[key] = document, self._compile(document)
        return self._compiled[key]

    def _compile(self, document: Mapping[str, Any]) -> Callable[[Any], Any]:
        try:
            # Without details the code is a quarter of the size, but `const` needs them (2.22).
            try:
                return _compiled(document, detailed=False)
            except KeyError:
                return _compiled(document, detailed=True)
        except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, re.error) as error:
            raise Misconfigured(
                f"The XDM schema {self._source} cannot be compiled: {error}.",
                mend="Export it resolved (xed-full), in JSON Schema form.",
                reason="schemas",
            ) from error


class XdmSchemas:
    """The schemas of a directory, and which of them a message means."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or builtin_directory()
        self._by_name = {schema.name: schema for schema in _read_all(self.directory)}
        self._guesses: dict[tuple[str, str], XdmSchema | None] = {}
        if not self._by_name:
            raise Misconfigured(
                f"The schemas directory {self.directory} holds no XDM schema (*.json).",
                mend="Name a directory with the XDM schemas of your targets.",
                reason="schemas",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the schemas: their file names without the suffix."""
        return tuple(self._by_name)

    def named(self, name: str) -> XdmSchema:
        """The schema with this name, or in this file.

        Raises:
            Misconfigured: there is none.
        """
        if name in self._by_name:
            return self._by_name[name]
        path = Path(name)
        if path.suffix == ".json":
            return read_schema(path)
        raise Misconfigured(
            f"There is no XDM schema {name!r} in {self.directory}.",
            mend=f"There are: {', '.join(self._by_name)}. Or name a .json file.",
            reason="schemas",
        )

    def candidates(self, inlet_id: str, schema_id: str, entity: object) -> tuple[XdmSchema, ...]:
        """The schemas that a message may be meant for: by its schema id, its inlet, its shape."""
        key = inlet_id, schema_id
        if key not in self._guesses:
            if len(self._guesses) > 1000:  # noqa: PLR2004  ids come from requests
                self._guesses.clear()
            self._guesses[key] = self._guess(inlet_id, schema_id)
        guess = self._guesses[key]
        if guess is not None:
            return (guess,)
        is_event = isinstance(entity, dict) and not entity.keys().isdisjoint(
            ("timestamp", "eventType")
        )
        return tuple(s for s in self._by_name.values() if s.time_series is is_event)

    def with_id(self, schema_id: str) -> XdmSchema | None:
        """The schema that an id means: its own, else by its last part or a word in it."""
        return self._guess("", schema_id)

    def _guess(self, inlet_id: str, schema_id: str) -> XdmSchema | None:
        schemas = self._by_name.values()
        tail = schema_id.rpartition("/")[2]
        words = set(re.split(r"[^a-z0-9]+", f"{tail} {inlet_id}".lower()))
        exact = (s for s in schemas if s.id == schema_id)
        same_tail = (s for s in schemas if tail and s.id.rpartition("/")[2] == tail)
        same_word = (s for s in schemas if s.name.lower() in words)
        return next(exact, None) or next(same_tail, None) or next(same_word, None)


def builtin_directory() -> Path:
    """The XDM schemas that come with the product: in a wheel, or in a checkout."""
    package = Path(str(resources.files("processor")))
    packed = package / "_schemas" / "xdm"
    return packed if packed.is_dir() else package.parent / "schemas" / "xdm"


def read_schema(path: Path) -> XdmSchema:
    """One schema from a file.

    Raises:
        Misconfigured: the file cannot be read, is no JSON object, or is no usable schema.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"The XDM schema {path} cannot be read: {error}.", reason="schemas"
        ) from error
    if not isinstance(document, dict):
        raise Misconfigured(f"The XDM schema {path} is not a JSON object.", reason="schemas")
    return XdmSchema(path.stem, document, str(path))


def _read_all(directory: Path) -> Iterator[XdmSchema]:
    for path in sorted(directory.glob("*.json")):
        yield read_schema(path)


def _compiled(document: Mapping[str, Any], *, detailed: bool) -> Callable[[Any], Any]:
    return fastjsonschema.compile(
        dict(document),
        handlers=dict.fromkeys(("", "http", "https", "file", "ftp"), _refuse),
        formats=FORMATS,
        use_default=False,
        detailed_exceptions=detailed,
    )


def _is_time_series(document: Mapping[str, Any]) -> bool:
    named = [document.get("meta:class"), *document.get("meta:extends", ())]
    return any(isinstance(name, str) and name.endswith(_TIME_SERIES) for name in named)


def _tenant_key(entity: object) -> str:
    if isinstance(entity, dict):
        for name, value in entity.items():
            if name.startswith("_") and isinstance(value, dict):
                return str(name)
    return TENANT_PLACEHOLDER


def _closed(node: Any) -> Any:
    """A copy that permits no keys beyond those described, as Experience Platform does.

    An object that is composed (``allOf``, ``$ref`` …) stays open: its parts would shut out each
    other's keys.
    """
    if not isinstance(node, dict):
        return node
    copy = dict(node)
    if isinstance(node.get("properties"), dict):
        copy["properties"] = {name: _closed(below) for name, below in node["properties"].items()}
        composed = node.keys() & {"allOf", "anyOf", "oneOf", "$ref"}
        if "additionalProperties" not in node and not composed:
            copy["additionalProperties"] = False
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            copy[keyword] = _closed(node[keyword])
    return copy


def _refuse(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}, which is outside the file")
