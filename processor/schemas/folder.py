"""The folders of Avro schemas, mapping sets and XDM schemas: ours, and an operator's over it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import processor
from processor.errors import Misconfigured, Refused
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.inlining import defined_name, inline
from processor.settings import SchemasSettings, TargetSettings

_COMMON, _XDM, _VERSIONS = "common", "xdm", "versions"
_EVENT_FILE = "event.avsc"
_TARGET_FILE = re.compile(r"to-([a-z0-9][a-z0-9_-]*)\.json")


@dataclass(frozen=True, slots=True, eq=False)
class EventSchema:
    """One event's folder.

    Attributes:
        name: of the event, as Capillary spells it; the folder's name.
        folder: where it stands.
        avro: ``event.avsc``, self-contained: shared types stand where they are first used.
        parsed: the same, vetted.
        mapping_files: ``to-<target>.json`` by target.
        xdm: the schema's ``xdm`` property: per target its class, schema and mapping file.
        versions: older writer schemas, for single-object encoding, by the name of their files.
    """

    name: str
    folder: Path
    avro: dict[str, Any]
    parsed: WriterSchema
    mapping_files: Mapping[str, Path]
    xdm: Mapping[str, Any]
    versions: Mapping[str, WriterSchema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class XdmSchema:
    """An XDM schema in JSON Schema form.

    Attributes:
        source: the file it was read from.
        tenant_owned: whether it is the tenant's own, so that the gate is strict about it; ours is
            a guess.
    """

    document: dict[str, Any] = field(repr=False)
    source: Path
    tenant_owned: bool


@dataclass(frozen=True, slots=True)
class FolderProblem:
    """Why a file of a schemas folder cannot be used.

    Attributes:
        file: the file, or the folder of an event.
        line: where in it, from 1; `None` when it is the whole; likewise ``column``.
    """

    file: Path
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = str(self.file)
        if self.line is not None:
            place += f":{self.line}:{self.column}"
        return f"{place}: {self.message}"


def builtin_directory() -> Path:
    """Our own schemas: in a wheel beside the code, in a checkout ``schemas/`` at its root."""
    package = Path(processor.__file__).parent
    packaged = package / "_schemas"
    return packaged if packaged.is_dir() else package.parent / "schemas"


class SchemaFolder:
    """All events that can be decoded, by name.

    Attributes:
        events: by event name, sorted.
        own: the operator's folder; `None` when there is none.
        builtin: ours; `None` when it is not used.
        library: shared Avro types by full name, the operator's over ours.
    """

    def __init__(
        self,
        events: Mapping[str, EventSchema],
        *,
        own: Path | None,
        builtin: Path | None,
        library: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.events = events
        self.own = own
        self.builtin = builtin
        self.library = library

    @classmethod
    def load(cls, settings: SchemasSettings) -> "SchemaFolder":
        """Read and vet every schema.

        Raises:
            Misconfigured: all problems at once, one a line, each with its file.
        """
        folder, problems = cls.survey(settings)
        if problems:
            raise _wrong("\n".join(map(str, problems)))
        if not folder.events:
            raise _wrong(
                f"{folder.own or folder.builtin} holds no event: a folder with {_EVENT_FILE}."
            )
        return folder

    @classmethod
    def survey(cls, settings: SchemasSettings) -> "tuple[SchemaFolder, list[FolderProblem]]":
        """Read and vet every schema that can be, and say what is wrong with the others.

        Raises:
            Misconfigured: there is no such directory, or none at all.
        """
        reading = _Reading()
        own = settings.directory
        builtin = builtin_directory() if settings.builtin else None
        if own is not None and not own.is_dir():
            raise _wrong(f"schemas.directory: {own} is not a directory.")
        if own is None and builtin is None:
            raise _wrong("schemas.builtin is false, and schemas.directory is not set.")
        ours: dict[str, EventSchema] = {}
        library: dict[str, Any] = {}
        if builtin is not None:
            library = reading.library(builtin)
            ours = reading.events(builtin, library)
        if own is not None:
            library = {**library, **reading.library(own)}
            ours |= reading.events(own, library)
        reading.names_are_distinct(ours)
        folder = cls(dict(sorted(ours.items())), own=own, builtin=builtin, library=library)
        return folder, reading.problems

    def is_own(self, event: EventSchema) -> bool:
        """Whether an event is the operator's, and not ours."""
        return event.folder.parent == self.own

    def xdm_schema(self, target: str, settings: TargetSettings) -> XdmSchema:
        """The XDM schema that a target's entities are checked against.

        The file that ``xdm_schema`` names; left out: the one in ``xdm/`` whose ``$id`` is
        ``schema_id``, the operator's folder first; else the operator's ``xdm/<target>.json`` when
        it has no ``$id``, else ours of that name.

        Raises:
            Misconfigured: there is none, or the file cannot be read.
        """
        if settings.xdm_schema:
            path = Path(settings.xdm_schema)
            return XdmSchema(_document(path), path, tenant_owned=True)
        places = [(d / _XDM, d == self.own) for d in (self.own, self.builtin) if d is not None]
        for place, owned in places:
            for path in sorted(place.glob("*.json")):
                document = _document(path)
                if document.get("$id") == settings.schema_id:
                    return XdmSchema(document, path, tenant_owned=owned)
        for place, owned in places:
            path = place / f"{target}.json"
            if path.is_file():
                document = _document(path)
                if not owned or "$id" not in document:
                    return XdmSchema(document, path, tenant_owned=owned)
        raise Misconfigured(
            f"There is no XDM schema for the target {target}.",
            mend=f"Export it with `processor schemas fetch` and set "
            f"experience_platform.targets.{target}.xdm_schema to its file.",
            reason="schemas",
        )


class _Reading:
    """Reads directories and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[FolderProblem] = []

    def _say(self, file: Path, message: str) -> None:
        self.problems.append(FolderProblem(file, message))

    def library(self, directory: Path) -> dict[str, Any]:
        """Shared types by full name."""
        found: dict[str, Any] = {}
        places: dict[str, Path] = {}
        for path in sorted((directory / _COMMON).glob("*.avsc")):
            document = self._document(path)
            name = defined_name(document)
            if not name:
                self._say(path, "it defines no named type.")
            elif name in found:
                self._say(path, f"{places[name].name} defines {name}, too.")
            else:
                found[name], places[name] = document, path
        return found

    def events(self, directory: Path, library: Mapping[str, Any]) -> dict[str, EventSchema]:
        """Events by name."""
        found = {}
        for folder in sorted(directory.iterdir()):
            if not folder.is_dir() or folder.name.startswith((".", "_")):
                continue
            if folder.name in {_COMMON, _XDM}:
                continue
            event = self._event(folder, library)
            if event is not None:
                found[event.name] = event
        return found

    def names_are_distinct(self, events: Mapping[str, EventSchema]) -> None:
        """Two events with one record name could not be told apart."""
        first: dict[str, EventSchema] = {}
        for event in events.values():
            other = first.setdefault(event.parsed.name, event)
            if other is not event:
                self._say(
                    event.folder / _EVENT_FILE,
                    f"its record {event.parsed.name} is also that of {other.name}.",
                )

    def _event(self, folder: Path, library: Mapping[str, Any]) -> EventSchema | None:
        path = folder / _EVENT_FILE
        if not path.is_file():
            self._say(folder, f"it has no {_EVENT_FILE}.")
            return None
        read = self._avro(path, library)
        if read is None:
            return None
        avro, parsed = read
        xdm = avro.get("xdm", {})
        if not isinstance(xdm, dict):
            self._say(path, "its «xdm» is not an object.")
            return None
        targets = {
            match[1]: file
            for file in sorted(folder.glob("to-*.json"))
            if (match := _TARGET_FILE.fullmatch(file.name))
        }
        versions = {
            file.stem: older
            for file in sorted((folder / _VERSIONS).glob("*.avsc"))
            if (older := self._version(file, library, parsed)) is not None
        }
        return EventSchema(folder.name, folder, avro, parsed, targets, xdm, versions)

    def _version(
        self, path: Path, library: Mapping[str, Any], reader: WriterSchema
    ) -> WriterSchema | None:
        read = self._avro(path, library)
        if read is None:
            return None
        try:
            read[1].resolves_to(reader)
        except Refused as refused:
            self._say(path, str(refused))
        return read[1]

    def _avro(
        self, path: Path, library: Mapping[str, Any]
    ) -> tuple[dict[str, Any], WriterSchema] | None:
        document = self._document(path)
        if document is None:
            return None
        try:
            whole = inline(document, library)
            return whole, vet(whole)
        except Refused as refused:
            self._say(path, str(refused))
            return None

    def _document(self, path: Path) -> dict[str, Any] | None:
        found = _read(path)
        if isinstance(found, FolderProblem):
            self.problems.append(found)
            return None
        return found


def _document(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        Misconfigured: it cannot be read, or is no JSON object; names the file and the line.
    """
    found = _read(path)
    if isinstance(found, FolderProblem):
        raise _wrong(str(found))
    return found


def _read(path: Path) -> dict[str, Any] | FolderProblem:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return FolderProblem(path, f"it cannot be read ({error.strerror}).")
    except json.JSONDecodeError as error:
        return FolderProblem(path, f"not JSON: {error.msg}.", error.lineno, error.colno)
    except (UnicodeDecodeError, RecursionError):
        return FolderProblem(path, "it is not UTF-8, or nested too deep.")
    if not isinstance(document, dict):
        return FolderProblem(path, "it is not a JSON object.")
    return document


def _wrong(problem: str) -> Misconfigured:
    return Misconfigured(problem, reason="schemas")
