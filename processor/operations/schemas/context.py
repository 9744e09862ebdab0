"""The schemas folder as settings see it, or as it stands without any."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from processor.errors import Misconfigured
from processor.operations.map_event import PLACEHOLDER_TENANT
from processor.schemas.folder import EventSchema, FolderProblem, SchemaFolder, XdmSchema
from processor.settings import SchemasSettings, Settings, TargetSettings

_NO_ID = "none"
"""A schema id that no file has, so that the file of the target's name is taken."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the commands about schemas look at.

    Attributes:
        settings: `None` when none were given.
        folder: every event that can be used.
        problems: why the others cannot.
    """

    settings: Settings | None
    folder: SchemaFolder
    problems: tuple[FolderProblem, ...]

    @classmethod
    def of(cls, settings: Settings | None, directory: Path | None = None) -> "Context":
        """Read the folders.

        Args:
            settings: `None`: our own schemas.
            directory: instead of ``schemas.directory``.

        Raises:
            Misconfigured: there is no such directory.
        """
        schemas = settings.schemas if settings else SchemasSettings()
        if directory is not None:
            schemas = schemas.model_copy(update={"directory": directory})
        folder, problems = SchemaFolder.survey(schemas)
        return cls(settings, folder, tuple(problems))

    @classmethod
    def whole(cls, settings: Settings | None) -> "Context":
        """Read the folders, in which nothing may be wrong.

        Raises:
            Misconfigured: everything that is wrong with a file.
        """
        context = cls.of(settings)
        if context.problems:
            raise Misconfigured(
                "\n".join(map(str, context.problems)),
                mend="`processor schemas check` proves a folder.",
                reason="schemas",
            )
        return context

    @property
    def tenant(self) -> str:
        """The tenant's name; a placeholder without settings."""
        return self.settings.experience_platform.tenant if self.settings else PLACEHOLDER_TENANT

    @property
    def configured(self) -> Mapping[str, TargetSettings]:
        """The targets of the settings."""
        return self.settings.experience_platform.targets if self.settings else {}

    def origin(self, event: EventSchema) -> Literal["builtin", "own"]:
        """Whose an event is."""
        return "own" if self.folder.is_own(event) else "builtin"

    def tenant_of(self, event: EventSchema) -> str:
        """The tenant that an event's examples are written for; ours are for a placeholder."""
        return self.tenant if self.origin(event) == "own" else PLACEHOLDER_TENANT

    def event(self, name: str) -> EventSchema:
        """An event by its name.

        Raises:
            Misconfigured: there is none.
        """
        if name not in self.folder.events:
            known = ", ".join(self.folder.events) or "none"
            raise Misconfigured(
                f"The schemas folder has no event {name}.",
                mend=f"The events are: {known}.",
                reason="schemas",
            )
        return self.folder.events[name]

    def xdm_schema(self, target: str) -> XdmSchema:
        """The XDM schema of a target: what the settings name, else the folder's of that name.

        Raises:
            Misconfigured: there is none, or it cannot be read.
        """
        return self.folder.xdm_schema(target, self.configured.get(target) or _placeholder(target))

    def shipped(self, schemas: Mapping[str, XdmSchema]) -> dict[str, XdmSchema]:
        """For the targets of these, our own descriptions, which our own examples are written for.

        Where there is none of ours, the given one stays.
        """
        ours = SchemaFolder({}, own=None, builtin=self.folder.builtin)
        found: dict[str, XdmSchema] = {}
        for target, schema in schemas.items():
            try:
                found[target] = ours.xdm_schema(target, _placeholder(target))
            except Misconfigured:
                found[target] = schema
        return found

    def has_file(self, name: object) -> bool:
        """Whether one of the folders holds a file, by its path inside it."""
        places = (self.folder.own, self.folder.builtin)
        return isinstance(name, str) and any((p / name).is_file() for p in places if p is not None)


def _placeholder(target: str) -> TargetSettings:
    return TargetSettings(inlet_id=target, dataset_id=target, schema_id=_NO_ID)
