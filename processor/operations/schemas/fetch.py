"""Fetches a tenant's XDM schemas into files that the gate finds by their ``$id``."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import orjson

from processor.errors import Misconfigured
from processor.experience_platform.gate import Gate
from processor.experience_platform.ims import ImsTokens
from processor.experience_platform.xdm_registry import TokenNotTaken, XdmRegistry
from processor.schemas.folder import XdmSchema
from processor.settings import Settings
from processor.settings.masking import printable

FOLDER = "xdm"
MODE = 0o644
"""A schema is no secret, and another account may run the connector."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A schema that was fetched.

    Attributes:
        targets: the configured targets that use it.
        title: as the tenant named it.
        file: where it is now.
        state: ``unchanged``: the file held it already.
        found: whether the gate finds it there by its ``$id``; else `setting` has to name it.
        setting: the line for the settings file, empty when none is needed.
    """

    schema_id: str
    targets: tuple[str, ...]
    title: str
    file: str
    state: Literal["written", "replaced", "unchanged"]
    found: bool
    setting: str = ""

    def document(self) -> dict[str, Any]:
        """What was fetched as JSON shows it."""
        return asdict(self)


async def fetch_schemas(
    settings: Settings,
    *,
    schema_id: str = "",
    output: Path | None = None,
    force: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> list[Fetched]:
    """Fetch the schema of each configured target, each once; nothing is written unless all came.

    Args:
        settings: who we are, and the targets.
        schema_id: this schema alone, a target's or any other of the tenant.
        output: folder to write to; `None`: ``xdm`` in ``schemas.directory``.
        force: replace a file that holds something else.
        transport: instead of real connections, in tests.

    Raises:
        Misconfigured: no folder to write to, or one that cannot be written; a file is there; IMS or
            Experience Platform refuses us; a schema is not there, or the gate cannot use it.
        TryAgain: IMS or Experience Platform is away.
    """
    folder = output or _own_folder(settings)
    by_id: dict[str, list[str]] = {}
    for name, target in settings.experience_platform.targets.items():
        by_id.setdefault(target.schema_id, []).append(name)
    if schema_id:
        by_id = {schema_id: by_id.get(schema_id, [])}
    documents = await _documents(settings, list(by_id), transport)
    paths = {id_: folder / _file_name(id_, names) for id_, names in by_id.items()}
    contents = {
        path: _usable(documents[id_], path, by_id[id_], settings) for id_, path in paths.items()
    }
    _make(folder)
    states = {path: _state(path, content, force=force) for path, content in contents.items()}
    for path, content in contents.items():
        if states[path] != "unchanged":
            _write(path, content)
    found = _is_found(settings, folder)
    return [
        Fetched(
            schema_id=id_,
            targets=tuple(names),
            title=str(documents[id_].get("title", "")),
            file=str(path),
            state=states[path],
            found=found,
            setting="" if found or not names else _setting(names, path),
        )
        for (id_, names), path in zip(by_id.items(), paths.values(), strict=True)
    ]


async def _documents(
    settings: Settings, ids: Sequence[str], transport: httpx.AsyncBaseTransport | None
) -> dict[str, dict[str, Any]]:
    tokens = ImsTokens(settings.ims, transport=transport)
    registry = XdmRegistry(
        settings.experience_platform, settings.ims.client_id, transport=transport
    )
    try:
        return {id_: await _document(tokens, registry, id_) for id_ in ids}
    finally:
        await registry.aclose()
        await tokens.aclose()


async def _document(tokens: ImsTokens, registry: XdmRegistry, schema_id: str) -> dict[str, Any]:
    """One schema; with a new token when the first one is refused."""
    token = await tokens.token()
    try:
        return await registry.fetch(schema_id, token)
    except TokenNotTaken:
        tokens.refused(token)
    try:
        return await registry.fetch(schema_id, await tokens.token())
    except TokenNotTaken:
        raise Misconfigured(
            "The Schema Registry API refuses the token (401), a new one too.",
            mend="Check ims.client_id and ims.scopes, and that the credential has the Experience "
            "Platform API.",
            reason="experience_platform",
        ) from None


def _usable(
    document: Mapping[str, Any], path: Path, targets: Sequence[str], settings: Settings
) -> bytes:
    """The schema as a file, when the gate can use it.

    Raises:
        Misconfigured: it cannot.
    """
    schema = XdmSchema(dict(document), path, tenant_owned=True)
    tenant = settings.experience_platform.tenant
    Gate(targets[0] if targets else path.stem, schema, "dead_letter", tenant=tenant)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _own_folder(settings: Settings) -> Path:
    if settings.schemas.directory is None:
        raise Misconfigured(
            "There is no folder to write to.",
            mend="Set schemas.directory, or give --output DIR.",
        )
    return settings.schemas.directory / FOLDER


def _is_found(settings: Settings, folder: Path) -> bool:
    own = settings.schemas.directory
    return own is not None and folder.resolve() == (own / FOLDER).resolve()


def _file_name(schema_id: str, targets: Sequence[str]) -> str:
    if targets:
        return f"{targets[0]}.json"
    tail = _UNSAFE.sub("-", schema_id.rstrip("/").rpartition("/")[2]).strip(".-")
    return f"{tail or 'schema'}.json"


def _setting(targets: Sequence[str], path: Path) -> str:
    value = orjson.dumps(str(path)).decode()
    return "\n".join(f"experience_platform.targets.{name}.xdm_schema = {value}" for name in targets)


def _make(folder: Path) -> None:
    """Make the folder, not those above it: a mistyped path stays a mistake."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _state(
    path: Path, content: bytes, *, force: bool
) -> Literal["written", "replaced", "unchanged"]:
    try:
        held = path.read_bytes()
    except FileNotFoundError:
        return "written"
    except OSError as error:
        raise _unwritable(path, error) from error
    if held == content:
        return "unchanged"
    if not force:
        raise Misconfigured(
            f"{printable(str(path))} is there already, and holds something else.",
            mend="Add --force to replace it.",
        )
    return "replaced"


def _write(path: Path, content: bytes) -> None:
    """A whole file or none."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(MODE)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(f"{printable(str(path))} cannot be written: {error.strerror}.")
