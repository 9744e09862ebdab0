"""Settings from environment variables that begin with ``PROCESSOR_``."""

import re
from collections.abc import Mapping
from typing import Any, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from processor.settings.masking import printable
from processor.settings.models import Settings
from processor.settings.paths import (
    FREE,
    PREFIX,
    Slot,
    is_table,
    known_keys,
    nearest,
    slot_of_variable,
    variable_of,
)
from processor.settings.problem import Problem

RESERVED = frozenset({"PROCESSOR_CONFIG", "PROCESSOR_DEBUG", "PROCESSOR_CACHE"})
"""Ours, but no settings: the file, tracebacks, where downloads of the local parts go."""

# Kubernetes puts the addresses of a namespace's Services into every Pod; a Service named
# `processor` or `processor-…` gives these. Source: Kubernetes, "Discovering services".
_LINK = re.compile(
    r"PROCESSOR_(?:PORT|SERVICE)(?:_(?!_)\w*)?"
    r"|PROCESSOR_\w+?_SERVICE_(?:HOST|PORT(?:_\w+)?)"
    r"|PROCESSOR_\w+?_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?"
)
_LINK_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")


def is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes set this variable for a Service, and not a person for us."""
    if "__" in variable:
        return False
    if _LINK.fullmatch(variable):
        return True
    return variable.endswith("_PORT") and _LINK_ADDRESS.match(value) is not None


def service_links(environ: Mapping[str, str]) -> list[str]:
    """The names of Kubernetes' variables that carry our prefix, sorted."""
    return sorted(
        name
        for name, value in environ.items()
        if name.startswith(PREFIX) and is_service_link(name, value)
    )


class EnvironmentSource(PydanticBaseSettingsSource):
    """The tables that the environment describes.

    Attributes:
        problems: variables with our prefix that name no setting.
        variables: which variable gave a key, by the key's path.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.problems: list[Problem] = []
        self.variables: dict[tuple[str, ...], str] = {}
        self._tables: dict[str, Any] = {}
        for variable, value in sorted(environ.items()):
            if not variable.startswith(PREFIX) or variable in RESERVED:
                continue
            if not is_service_link(variable, value):
                self._take(variable, value)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of a top-level key, as pydantic-settings asks for it."""
        del field
        return self._tables.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All tables; lists are split, everything else is text as it came."""
        return self._tables

    def _take(self, variable: str, value: str) -> None:
        slot = slot_of_variable(variable)
        if slot is None:
            self.problems.append(_unknown(variable))
        elif _holds_keys(slot):
            self.problems.append(_table(variable, slot))
        else:
            self._put(slot, value)
            self.variables[slot.path] = variable

    def _put(self, slot: Slot, value: str) -> None:
        *tables, key = slot.path
        table = self._tables
        for name in tables:
            table = table.setdefault(name, {})
        is_list = slot.field is not None and get_origin(slot.field.annotation) is list
        table[key] = items(value) if is_list else value


def items(value: str) -> list[str]:
    """The items of a list that is separated by commas."""
    return [item for part in value.split(",") if (item := part.strip())]


def _unknown(variable: str) -> Problem:
    parts = variable.removeprefix(PREFIX).lower().split("__")
    near = nearest(parts, (slot for slot in known_keys() if not _holds_keys(slot)))
    meant = f"did you mean {variable_of(near)}?" if near else "the settings file shows what is."
    return Problem(printable(variable), f"no setting has this variable; {meant}")


def _table(variable: str, table: Slot) -> Problem:
    example = next(
        (slot.path for slot in known_keys() if slot.path[:-1] == table.path),
        (*table.path, FREE),
    )
    return Problem(variable, f"names a table; set its keys, such as {variable_of(example)}.")


def _holds_keys(slot: Slot) -> bool:
    return slot.field is not None and is_table(slot.field)
