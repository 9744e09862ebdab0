"""``/connector-plugins``: the one plugin, what it can be told, and whether that would do."""

from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import processor
from processor.admin.access import Need
from processor.admin.answers import answer
from processor.admin.blocking import Blocking
from processor.admin.connect.configuration import CLASS_KEY, CONNECTOR_CLASS, CONNECTS_NAMES, flat
from processor.admin.forms import json_of
from processor.admin.routes import AdminRoute
from processor.settings import complaints_about, masked_tables, tables_of
from processor.settings.complaints import field_at, shape
from processor.settings.flat import path_of
from processor.settings.paths import is_table, known_keys

ALIASES = frozenset({CONNECTOR_CLASS, "CapillaryAepSinkConnector", "CapillaryAepSink"})
"""As Connect finds its own: by the full name, the class, or that without ``Connector``."""

GENERAL = "general"

Definition = dict[str, Any]


class Plugins:
    """Connect's resource of that path. Nothing is connected to, read or changed."""

    def __init__(self, blocking: Blocking) -> None:
        self._blocking = blocking

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        one = "/connector-plugins/{plugin}/config"
        return [
            AdminRoute("GET", "/connector-plugins", Need.LOOK, self._list),
            AdminRoute("GET", one, Need.LOOK, self._definitions),
            AdminRoute("PUT", f"{one}/validate", Need.LOOK, self._validate),
        ]

    async def _list(self, _request: Request) -> Response:
        """With ``connectorsOnly=false`` too: converters and mapping are no plugins here."""
        ours = {"class": CONNECTOR_CLASS, "type": "sink", "version": processor.__version__}
        return answer([ours])

    async def _definitions(self, request: Request) -> Response:
        _find(request)
        return answer(list(definitions().values()))

    async def _validate(self, request: Request) -> Response:
        plugin = request.path_params["plugin"]
        config = _texts(await json_of(request))
        named = config.get(CLASS_KEY)
        if named is None:
            raise HTTPException(400, "Connector config contains no connector type")
        if _simple(named) != _simple(plugin):
            raise HTTPException(
                400,
                f"Included connector type {named[:200]} does not match request type {plugin}",
            )
        _find(request)
        found = await self._blocking.run(partial(validated, config))
        return answer({"name": plugin, **found})


def validated(config: Mapping[str, str]) -> dict[str, Any]:
    """Connect's ``ConfigInfos`` without its name."""
    ours = {CONNECTS_NAMES.get(key, key): text for key, text in config.items() if key != CLASS_KEY}
    given = flat(masked_tables(tables_of(ours)))
    errors = complaints_about(ours)
    known = definitions()
    back = {our: name for name, our in CONNECTS_NAMES.items()}
    configs = []
    for key, definition in known.items():
        our = CONNECTS_NAMES.get(key, key)
        value = given.get(our, definition["default_value"])
        said = [] if our != key and our in known else errors.get(our, [])
        if key == CLASS_KEY:
            value, said = config[CLASS_KEY], []
        configs.append(_config(definition, value, said))
    for key in sorted((given.keys() | errors.keys()) - known.keys()):
        name, said = back.get(key, key), errors.get(key, [])
        # What stands under a key that is wrong may be a secret under a misspelt name.
        value = None if said else given.get(key)
        configs.append(_config(_definition(name, field_at(path_of(key))), value, said))
    groups = list(dict.fromkeys(one["definition"]["group"] for one in configs))
    count = sum(len(one["value"]["errors"]) for one in configs)
    return {"error_count": count, "groups": groups, "configs": configs}


@cache
def definitions() -> dict[str, Definition]:
    """Every setting as Connect's ``ConfigKeyInfo``, by its dotted name."""
    found = {CLASS_KEY: _definition(CLASS_KEY, None) | {"required": True, "importance": "HIGH"}}
    ours = {
        ".".join(slot.path): slot.field
        for slot in known_keys()
        if slot.field is not None and not is_table(slot.field)
    }
    for name, our in CONNECTS_NAMES.items():
        found[name] = _definition(name, ours[our])
    for key, field in ours.items():
        found[key] = _definition(key, field)
    for order, definition in enumerate(found.values(), start=1):
        definition["order"] = order
    return found


def _definition(name: str, field: FieldInfo | None) -> Definition:
    table, _, last = name.rpartition(".")
    required = field is not None and field.is_required()
    return {
        "name": name,
        "type": _type(field),
        "required": required,
        "default_value": _default(field),
        "importance": "HIGH" if required else "MEDIUM",
        "documentation": shape(field) if field is not None else "",
        "group": table.partition(".")[0] or GENERAL,
        "width": "MEDIUM",
        "display_name": last.replace("_", " "),
        "dependents": [],
        "order": -1,
    }


def _config(definition: Definition, value: str | None, errors: list[str]) -> dict[str, Any]:
    return {
        "definition": definition,
        "value": {
            "name": definition["name"],
            "value": value,
            "recommended_values": [],
            "errors": errors,
            "visible": True,
        },
    }


def _type(field: FieldInfo | None) -> str:
    """Connect's type of a setting."""
    if field is None:
        return "STRING"
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    optional = NoneType in get_args(field.annotation)
    annotation = kinds[0] if optional else field.annotation
    if get_origin(annotation) is Literal or annotation is Path:
        return "STRING"
    if get_origin(annotation) is list:
        return "LIST"
    words = {bool: "BOOLEAN", int: "INT", float: "DOUBLE", SecretStr: "PASSWORD"}
    return next((word for kind, word in words.items() if annotation is kind), "STRING")


def _default(field: FieldInfo | None) -> str | None:
    if field is None or field.is_required() or field.default is None:
        return None
    return flat({"": field.default})[""] if not isinstance(field.default, dict) else None


def _texts(body: Any) -> dict[str, str]:
    """A body as Connect takes it: names and texts; numbers and booleans become texts.

    Raises:
        HTTPException: 400, it is something else.
    """
    if not isinstance(body, dict):
        raise HTTPException(400, "Give the configuration as an object of names and texts.")
    return dict(_pairs(body))


def _pairs(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in body.items():
        if isinstance(value, dict | list):
            raise HTTPException(400, f"{key[:100]!r} has to be a text.")
        if value is not None:
            yield key, str(value).lower() if isinstance(value, bool) else str(value)


def _find(request: Request) -> None:
    plugin = request.path_params["plugin"]
    if plugin not in ALIASES:
        raise HTTPException(404, f"Unknown plugin {plugin}.")


def _simple(name: str) -> str:
    """The alias of a class, by which names are compared."""
    return name.rpartition(".")[2].removesuffix("Connector")
