"""Runs the examples of an event's folder, and says where they give something else than they say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processor.connector.transform import encode
from processor.errors import Filtered, Refused
from processor.experience_platform.adobe_words import safe_key
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.gate import Gate
from processor.experience_platform.identity import Identities
from processor.mapping.mapper import Mapper
from processor.record import Event, Record
from processor.schemas.decoder import Decoder
from processor.schemas.folder import EventSchema, SchemaFolder, XdmSchema
from processor.settings import (
    CapillarySettings,
    ConverterSettings,
    IdentitySettings,
    MappingSettings,
)

INPUT = "input.json"
CLOCK_S = 4_102_444_800.0
"""Examples run at 2100-01-01T00:00:00Z, so that none lies in the future and all give the same."""

_SHOW = "Correct the example, or what `processor map {} --target {}` shows."


@dataclass(frozen=True, slots=True)
class Unlike:
    """An example that is not as it says.

    Attributes:
        file: its input, or the file of what is expected.
    """

    file: Path
    message: str
    mend: str


class Examples:
    """The examples of one event.

    Args:
        folder: with this event alone.
        event: its mapping sets are without problems.
        xdm: the targets' XDM schemas.
        tenant: whose namespace the expected files use.
        mapping: how its mapping sets run; likewise `identity`.
    """

    def __init__(
        self,
        folder: SchemaFolder,
        event: EventSchema,
        xdm: Mapping[str, XdmSchema],
        *,
        tenant: str,
        mapping: MappingSettings,
        identity: IdentitySettings,
    ) -> None:
        self._event = event
        self._decoder = Decoder(folder, ConverterSettings(), CapillarySettings(), registry=False)
        self._mapper = Mapper(folder, mapping, tenant=tenant, targets=tuple(xdm), xdm=xdm)
        self._enricher = Enricher(Identities(identity))
        self._gates = {
            target: Gate(target, schema, "dead_letter", tenant=tenant, clock=lambda: CLOCK_S)
            for target, schema in xdm.items()
        }

    def unlike(self) -> Iterator[Unlike]:
        """Every example that gives something else than its files say, and in what."""
        for case in cases_of(self._event):
            yield from self._case(case)

    def _case(self, case: Path) -> Iterator[Unlike]:
        file = case / INPUT
        try:
            event = self._decoder.decode(Record("", 0, 0, value=file.read_bytes()))
        except (Refused, Filtered, OSError) as error:
            why = f"{error.code}: {error}" if isinstance(error, Refused) else type(error).__name__
            yield Unlike(file, f"it is no event of this folder ({why})", "Correct the example.")
            return
        if event.name != self._event.name:
            message = "its eventName is not that of its folder"
            yield Unlike(file, message, f"Write {self._event.name}, or move the example.")
            return
        for target in self._mapper.targets_of(event.name):
            yield from self._target(case, event, target)
        known = {INPUT, *(f"{target}.json" for target in self._event.mapping_files)}
        for stray in sorted(case.glob("*.json")):
            if stray.name not in known:
                mend = f"Add to-{stray.stem}.json, or remove the file."
                yield Unlike(stray, f"no mapping set leads to {stray.stem}", mend)

    def _target(self, case: Path, event: Event, target: str) -> Iterator[Unlike]:
        file, mend = case / f"{target}.json", _SHOW.format(case / INPUT, target)
        try:
            entities = self._entities(event, target)
        except Refused as refused:
            place = f" at {refused.pointer}" if refused.pointer else ""
            message = f"target {target} refuses it: {refused.code}{place}: {refused}"
            yield Unlike(case / INPUT, message, "Correct the example or the mapping set.")
            return
        try:
            expected = json.loads(file.read_text(encoding="utf-8"))
        except OSError:
            many = f"{len(entities)} entities" if len(entities) != 1 else "one entity"
            yield Unlike(file, f"it is missing; {many} come out", f"Write the list. {mend}")
            return
        except ValueError:
            yield Unlike(file, "it is not JSON", mend)
            return
        for difference in differences(expected, entities):
            yield Unlike(file, difference, mend)

    def _entities(self, event: Event, target: str) -> list[dict[str, Any]]:
        mapped = self._mapper.map(event, target, int(CLOCK_S * 1000))
        for index, one in enumerate(mapped):
            self._enricher.enrich(event, one, index=index, count=len(mapped))
            self._gates[target].check(one.entity, encode(one.entity))
        return [one.entity for one in mapped]


def cases_of(event: EventSchema) -> list[Path]:
    """The folders of an event's examples."""
    return sorted(file.parent for file in event.folder.glob(f"examples/*/{INPUT}"))


def differences(expected: Any, found: Any, pointer: str = "") -> Iterator[str]:
    """Where two JSON documents differ, without their values: an example may be a real record."""
    where = pointer or "its root"
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(expected.keys() | found.keys()):
            inner = f"{pointer}/{safe_key(name)}"
            if name not in found:
                yield f"{inner} is expected, and nothing comes out"
            elif name not in expected:
                yield f"{inner} comes out, and is not expected"
            else:
                yield from differences(expected[name], found[name], inner)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{where} has {len(expected)} elements, and {len(found)} come out"
        for index, pair in enumerate(zip(expected, found, strict=False)):
            yield from differences(*pair, f"{pointer}/{index}")
    elif expected != found or isinstance(expected, bool) is not isinstance(found, bool):
        yield f"{where} is another value than comes out"
