"""Proves a schemas folder: every mapping set, what the Avro schemas say of them, every example."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from processor.errors import Misconfigured
from processor.mapping.mapping_set import Problem
from processor.mapping.proof import prove
from processor.operations.schemas.context import Context
from processor.operations.schemas.examples import Examples, cases_of
from processor.schemas.folder import EventSchema, SchemaFolder, XdmSchema
from processor.settings import IdentitySettings, MappingSettings, Settings

_EVENT_FILE = "event.avsc"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: where; ``settings`` when it is in none.
        row: number of the mapping set's row, from 1; `None` when it is none's.
        column: where in the row's source (in its destination where that is at fault), or in the
            file's line, from 1.
        line: of a file that cannot be read, or of the place in «xdm»; `None` when a row says where.
        mend: what to change.
    """

    file: str
    message: str
    mend: str
    row: int | None = None
    column: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = self.file
        for name in ("line", "row", "column"):
            number = getattr(self, name)
            place += f", {name} {number}" if number is not None else ""
        return f"{place}: {self.message}{'' if self.message.endswith(('.', '?')) else '.'}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one event.

    Attributes:
        event: its name; `None`: of the folder or the settings as a whole.
        origin: whose it is.
        rows: rows of all its mapping sets; likewise `examples`.
    """

    event: str | None
    origin: Literal["builtin", "own"] | None = None
    targets: tuple[str, ...] = ()
    rows: int = 0
    examples: int = 0
    faults: tuple[Fault, ...] = field(default=())

    @property
    def bad(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.faults)

    def document(self) -> dict[str, Any]:
        """The verdict as JSON shows it."""
        return {
            "event": self.event,
            "from": self.origin,
            "verdict": "bad" if self.bad else "ok",
            "targets": self.targets,
            "rows": self.rows,
            "examples": self.examples,
            "problems": [asdict(fault) for fault in self.faults],
        }


def check_schemas(settings: Settings | None, directory: Path | None = None) -> Iterator[Verdict]:
    """Prove every event that would be used, one after the other; nothing stops at a fault.

    Args:
        settings: `None`: our own schemas, and placeholders for what only the operator knows.
        directory: instead of ``schemas.directory``.

    Raises:
        Misconfigured: there is no such directory.
    """
    context = Context.of(settings, directory)
    faults = [
        Fault(str(p.file), p.message, "Correct the file.", line=p.line, column=p.column)
        for p in context.problems
    ]
    faults += _unserved(context)
    if not context.folder.events and not faults:
        shown = str(context.folder.own or context.folder.builtin)
        faults.append(Fault(shown, "it holds no event", f"Add a folder with {_EVENT_FILE}."))
    if faults:
        yield Verdict(None, faults=tuple(faults))
    checking = _Checking(context)
    for event in context.folder.events.values():
        yield checking.verdict(event)


def _unserved(context: Context) -> Iterator[Fault]:
    served = {t for event in context.folder.events.values() for t in event.mapping_files}
    for target in context.configured:
        if target not in served:
            yield Fault(
                "settings",
                f"the target {target} is configured, and no event has a mapping set for it",
                f"Add to-{target}.json to an event's folder, or take the target out.",
            )


class _Checking:
    """Checks event after event; a target's XDM schema is looked up once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._xdm: dict[str, XdmSchema | Misconfigured] = {}

    def verdict(self, event: EventSchema) -> Verdict:
        faults = list(self._contradictions(event))
        rows = 0
        schemas: dict[str, XdmSchema] = {}
        for target, file in event.mapping_files.items():
            xdm = self._schema(target)
            if isinstance(xdm, Misconfigured):
                faults.append(Fault(str(file), xdm.args[0], xdm.mend))
                continue
            schemas[target] = xdm
            proof = prove(event, target, tenant=self._context.tenant, xdm=xdm, destinations=True)
            rows += len(proof.mapping_set.rows)
            faults += [_fault(file, problem) for problem in proof.problems]
        if not faults:
            faults += self._examples(event, schemas)
        return Verdict(
            event.name,
            self._context.origin(event),
            tuple(event.mapping_files),
            rows,
            len(cases_of(event)),
            tuple(faults),
        )

    def _schema(self, target: str) -> XdmSchema | Misconfigured:
        if target not in self._xdm:
            try:
                self._xdm[target] = self._context.xdm_schema(target)
            except Misconfigured as problem:
                self._xdm[target] = problem
        return self._xdm[target]

    def _contradictions(self, event: EventSchema) -> Iterator[Fault]:
        """Where the schema's ``xdm`` property and the mapping sets disagree; it may be left out."""
        if not event.xdm:
            return
        place = str(event.folder / _EVENT_FILE)
        places = _places_in_xdm(event)
        for target in sorted(event.xdm.keys() - event.mapping_files.keys()):
            yield Fault(
                place,
                f"its «xdm» names the target {target}, and there is no to-{target}.json",
                f"Add to-{target}.json, or take {target} out of «xdm».",
                line=places[target][0],
                column=places[target][1],
            )
        for target, file in event.mapping_files.items():
            said = event.xdm.get(target)
            if not isinstance(said, Mapping):
                yield Fault(
                    place,
                    f"there is {file.name}, and its «xdm» says nothing of {target}",
                    f"Add {target} with class, schema and mapping to «xdm».",
                    line=places[""][0],
                    column=places[""][1],
                )
                continue
            for fault in self._said(place, target, file, said):
                line, column = places[target]
                yield replace(fault, line=line, column=column)

    def _said(
        self, place: str, target: str, file: Path, said: Mapping[str, Any]
    ) -> Iterator[Fault]:
        if said.get("mapping") != file.name:
            yield Fault(
                place,
                f"its «xdm» gives {target} another mapping set than {file.name}",
                f"Let «xdm».{target}.mapping be {file.name}.",
            )
        schema = self._schema(target)
        if isinstance(schema, Misconfigured):
            return
        found = schema.document.get("meta:class")
        if found is not None and said.get("class") != found:
            yield Fault(
                place,
                f"its «xdm» gives {target} another class than {schema.source.name}",
                f"Let «xdm».{target}.class be {found}.",
            )
        if not self._context.has_file(said.get("schema")):
            yield Fault(
                place,
                f"its «xdm» gives {target} a schema that is in no schemas folder",
                f"Let «xdm».{target}.schema be xdm/{target}.json, or add the file.",
            )

    def _examples(self, event: EventSchema, schemas: Mapping[str, XdmSchema]) -> Iterator[Fault]:
        if not schemas:
            return
        context = self._context
        alone = SchemaFolder(
            {event.name: event}, own=context.folder.own, builtin=context.folder.builtin
        )
        # Ours are written for the placeholders; an operator's for the operator's settings.
        own = context.origin(event) == "own"
        theirs = context.settings if own else None
        mapping = theirs.mapping if theirs else MappingSettings()
        identity = theirs.identity if theirs else IdentitySettings()
        try:
            examples = Examples(
                alone,
                event,
                schemas if own else context.shipped(schemas),
                tenant=context.tenant_of(event),
                mapping=mapping,
                identity=identity,
            )
        except Misconfigured as problem:
            yield Fault(str(event.folder), problem.args[0], problem.mend)
            return
        for unlike in examples.unlike():
            yield Fault(str(unlike.file), unlike.message, unlike.mend)


def _places_in_xdm(event: EventSchema) -> Mapping[str, tuple[int, int]]:
    """Line and column of each target in the ``xdm`` property; under the empty name its own."""
    text = (event.folder / _EVENT_FILE).read_text(encoding="utf-8")
    own = re.search(r'"xdm"\s*:', text)
    start = own.start() if own else 0
    found = {"": start}
    for target in event.xdm:
        there = re.compile(rf'"{re.escape(target)}"\s*:').search(text, start)
        found[target] = there.start() if there else start
    return {
        name: (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        for name, at in found.items()
    }


def _fault(file: Path, problem: Problem) -> Fault:
    mend = problem.mend or "Correct the mapping set."
    return Fault(str(file), problem.message, mend, problem.row, problem.column)
