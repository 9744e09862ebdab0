"""A mapping set from its file: Adobe's JSON form, with current and with legacy key names."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path as File
from typing import Any

from processor.mapping.paths import EACH, Path, PathError, parse_path

MAX_FILE_BYTES = 2_000_000
MAX_ROWS = 5_000
"""Far above any real set; a file beyond it is a mistake or an attack on our memory."""

TENANT = "_tenant"
"""Stands for the tenant's namespace in destinations."""


class SourceType(StrEnum):
    """What a row's source is."""

    ATTRIBUTE = "ATTRIBUTE"
    EXPRESSION = "EXPRESSION"
    STATIC = "STATIC"


_SOURCE_TYPES = {
    **{kind.value: kind for kind in SourceType},
    "text/x.schema-path": SourceType.ATTRIBUTE,
    "text/x.aep-xl": SourceType.EXPRESSION,
    "text/plain": SourceType.STATIC,
}
_OUR_KEYS = ("iterate", "identity", "merged", "when")
_ADOBE_KEYS = frozenset(
    [
        "id",
        "version",
        "name",
        "description",
        "createdDate",
        "createdBy",
        "modifiedDate",
        "modifiedBy",
        "inputSchema",
        "outputSchema",
        "mappings",
        "allowNullValues",
        "xdmSchema",
        "xdmVersion",
        "inputMapping",
        "schemaRef",
        "imsOrg",
        "sandboxId",
        "sandboxName",
        "validationErrors",
        "outputMapping",
        "_links",
    ]
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a mapping set cannot be used.

    Attributes:
        file: the mapping set's file as messages name it.
        row: number of the row in ``mappings``, from 1; `None` when it is no row's.
        column: where in the row's source, from 1; in its destination as it is written where that
            is at fault; `None` when it is the row as a whole.
        mend: one sentence that says what to change; empty when the message says it.
    """

    file: str
    row: int | None
    column: int | None
    message: str
    mend: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        return f"{place}: {self.message}{'' if self.message.endswith('?') else '.'}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is written.

    Attributes:
        number: its place in ``mappings``, from 1.
        source: a path, an expression, or the constant itself.
        destination: where the value goes, the tenant's namespace filled in.
        written: the destination as the file has it.
    """

    number: int
    source_type: SourceType
    source: Any
    destination: Path
    written: str = ""

    def column_of(self, step: int) -> int:
        """Where a step of the destination is written, from 1; 1 when escapes hide it."""
        before = str(Path(self.destination.steps[:step]))
        if self.written.startswith(TENANT) and step:
            before = str(Path((TENANT, *self.destination.steps[1:step])))
        if not self.written.startswith(before):
            return 1
        return len(before) + 1 + (self.written[len(before) : len(before) + 1] == ".")


@dataclass(frozen=True, slots=True)
class MappingSet:
    """The rows of one event for one target.

    Attributes:
        file: as messages name it, such as ``pointsIssued/to-event.json``.
        iterate: array of which each element gives a message; `None`: the event gives one.
        identity: object that holds ``customerIdentifiers``, or identifiers themselves (its last
            step says so); `None`: ``data``, or the element.
        merged: identifiers of another customer who became this one.
        when: what may not be null, else there is no message.
    """

    file: str
    rows: tuple[Row, ...]
    iterate: Path | None = None
    identity: Path | None = None
    merged: Path | None = None
    when: Path | None = None

    def own_paths(self) -> Mapping[str, Path]:
        """The paths of our own keys that are set, by key."""
        paths = {key: getattr(self, key) for key in _OUR_KEYS}
        return {key: path for key, path in paths.items() if path is not None}


def load(file: File, *, tenant: str) -> tuple[MappingSet, list[Problem]]:
    """Read a mapping set; what is wrong with it comes back as a list, so that all of it is said.

    Args:
        file: its last two parts name it in messages.
        tenant: tenant's name without the underscore; replaces ``_tenant`` in destinations.
    """
    name = f"{file.parent.name}/{file.name}"
    reading = _Reading(name, tenant)
    try:
        size_bytes = file.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            return reading.nothing(f"the file has {size_bytes} bytes, more than {MAX_FILE_BYTES}")
        document = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return reading.nothing(f"line {error.lineno}, column {error.colno}: {error.msg}")
    except (OSError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return reading.nothing(f"the file cannot be read ({type(error).__name__})")
    return reading.mapping_set(document)


class _Reading:
    """One pass over a file, collecting what is wrong."""

    def __init__(self, file: str, tenant: str) -> None:
        self._file = file
        self._tenant = tenant
        self._problems: list[Problem] = []

    def nothing(self, message: str) -> tuple[MappingSet, list[Problem]]:
        self._say(message)
        return MappingSet(self._file, ()), self._problems

    def mapping_set(self, document: Any) -> tuple[MappingSet, list[Problem]]:
        if not isinstance(document, dict):
            return self.nothing('a mapping set is a JSON object with a list "mappings"')
        mappings = document.get("mappings")
        if not isinstance(mappings, list) or not mappings:
            return self.nothing('"mappings" is missing, empty or no list')
        if len(mappings) > MAX_ROWS:
            return self.nothing(f"it has {len(mappings)} rows, more than {MAX_ROWS}")
        self._refuse_near_misses(document)
        rows = [self._row(number, row) for number, row in enumerate(mappings, 1)]
        found = MappingSet(
            self._file,
            tuple(row for row in rows if row is not None),
            *(self._own_path(document, key) for key in _OUR_KEYS),
        )
        return found, self._problems

    def _say(self, message: str, row: int | None = None, column: int | None = None) -> None:
        self._problems.append(Problem(self._file, row, column, message))

    def _refuse_near_misses(self, document: Mapping[str, Any]) -> None:
        """Adobe's keys may be there; a misspelt one of ours would do nothing and not say so."""
        for key in document:
            if key in _ADOBE_KEYS or key in _OUR_KEYS:
                continue
            near = difflib.get_close_matches(key.lower(), _OUR_KEYS, n=1, cutoff=0.75)
            if near:
                self._say(f"the key {key!r} is unknown; did you mean {near[0]!r}?")

    def _own_path(self, document: Mapping[str, Any], key: str) -> Path | None:
        value = document.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self._say(f"{key!r} is no path")
            return None
        try:
            path = parse_path(value)
        except PathError as error:
            self._say(f"{key!r} is no path: {error} (at its character {error.column})")
            return None
        if key == "iterate" and path.steps[-1] is not EACH:
            path = Path((*path.steps, EACH))
        return path

    def _row(self, number: int, row: Any) -> Row | None:
        if not isinstance(row, dict):
            self._say("the row is no JSON object", number)
            return None
        source_type = self._source_type(number, row)
        source = _either(row, "source", "sourceAttribute")
        if source is None:
            self._say('"source" is missing', number)
        destination = self._destination(number, row)
        if source_type is None or source is None or destination is None:
            return None
        if source_type is not SourceType.STATIC and not isinstance(source, str):
            self._say('"source" is no text', number)
            return None
        written = str(_either(row, "destination", "destinationXdmPath"))
        return Row(number, source_type, source, destination, written)

    def _source_type(self, number: int, row: Mapping[str, Any]) -> SourceType | None:
        text = row.get("sourceType")
        if text is None and "sourceAttribute" in row:
            return SourceType.ATTRIBUTE
        known = _SOURCE_TYPES.get(text) if isinstance(text, str) else None
        if known is None:
            allowed = ", ".join(kind.value for kind in SourceType)
            self._say(f'"sourceType" is missing or unknown; it is one of {allowed}', number)
        return known

    def _destination(self, number: int, row: Mapping[str, Any]) -> Path | None:
        text = _either(row, "destination", "destinationXdmPath")
        if not isinstance(text, str):
            self._say('"destination" is missing', number)
            return None
        try:
            path = parse_path(text)
        except PathError as error:
            self._say(
                f"the destination is no path: {error} (at its character {error.column})", number
            )
            return None
        if path.steps[0] == TENANT:
            path = Path((f"_{self._tenant}", *path.steps[1:]))
        return path


def _either(row: Mapping[str, Any], current: str, legacy: str) -> Any:
    """A value by its current key, or by its legacy one."""
    value = row.get(current)
    return row.get(legacy) if value is None else value
