"""What a record costs, step by step, and compiled mapping against reading the rows.

``python -m tests.bench.mapping`` needs no broker: the shipped events' examples, in memory, in one
run on one core. Every step is timed alone; the two ways of mapping are
compared on the same events, after their results were found equal. It ends with 1 when the compiled
way is less than five times as fast.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from rich.console import Console
from rich.table import Table

from processor.connector.transform import encode
from processor.errors import Refused
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.gate import Gate
from processor.experience_platform.identity import Identities
from processor.mapping import shapes
from processor.mapping.checker import CheckedRow, check
from processor.mapping.compiler import Compiled, compile_set
from processor.mapping.mapper import Mapped, Mapper
from processor.mapping.mapping_set import MappingSet, load
from processor.mapping.plan import arrange
from processor.mapping.xdm_types import XdmTypes
from processor.record import Event, Record
from processor.schemas import wire
from processor.schemas.decoder import Decoder
from processor.schemas.folder import SchemaFolder, builtin_directory
from processor.settings import (
    CapillarySettings,
    ConverterSettings,
    IdentitySettings,
    MappingSettings,
    SchemasSettings,
    TargetSettings,
)
from tests.interpreter import Interpreter, arrays_of

TENANT = "acme"
ROUNDS = 7
PROMISED = 5.0
"""How many times as fast compiled mapping is at least."""

TIMESTAMP_MS = 1_750_000_000_000
NOW_S = 1_900_000_000.0
console = Console(stderr=True, highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Steps:
    """What one event costs for one target, in microseconds a record.

    Attributes:
        rows: of the mapping set.
        interpret: the mapping set by reading its rows; `compiled`: by its compiled function, which
            is the most of `map`.
    """

    event: str
    target: str
    rows: int
    decode: float
    map: float
    enrich: float
    encode: float
    gate: float
    compiled: float
    interpret: float

    @property
    def times_faster(self) -> float:
        return self.interpret / self.compiled


class Case:
    """One event's examples for one target."""

    def __init__(self, folder: SchemaFolder, event: str, target: str) -> None:
        self.event, self.target = event, target
        self._schema = folder.events[event]
        settings = TargetSettings(inlet_id="i", dataset_id="d", schema_id="none of ours")
        self._xdm = folder.xdm_schema(target, settings)
        self._decoder = Decoder(folder, ConverterSettings(), CapillarySettings(), registry=False)
        self._mapper = Mapper(
            folder, MappingSettings(), tenant=TENANT, targets=[target], xdm={target: self._xdm}
        )
        self._enricher = Enricher(Identities(IdentitySettings()))
        self._gate = Gate(target, self._xdm, "dead_letter", tenant=TENANT, clock=lambda: NOW_S)
        self.mapping_set, self.rows, self._run = self._compiled()
        self._arrays = arrays_of(self.rows, self.mapping_set.iterate)
        self.records = [self._as_avro(event) for event in self._examples()]
        self.events = [self._decoder.decode(record) for record in self.records]

    def measured(self, seconds: float) -> Steps:
        """Time each step.

        Raises:
            AssertionError: the two ways of mapping do not agree.
        """
        for event in self.events:
            assert self.compiled(event) == self.interpreted(event)
        made = [(event, self._mapped(event)) for event in self.events]

        def enrich(pair: tuple[Event, list[Mapped]]) -> None:
            event, several = pair
            for index, mapped in enumerate(several):
                mapped.entity.pop("_id", None)
                mapped.entity.pop("identityMap", None)
                self._enricher.enrich(event, mapped, index=index, count=len(several))

        for pair in made:
            enrich(pair)
        entities = [[mapped.entity for mapped in several] for _, several in made]
        written = [[(entity, encode(entity)) for entity in several] for several in entities]

        def check_all(several: list[tuple[dict[str, Any], bytes]]) -> None:
            for entity, encoded in several:
                self._gate.check(entity, encoded)

        def timed(step: Callable[[Any], object], over: Sequence[Any]) -> float:
            return best_us(step, over, seconds)

        return Steps(
            self.event,
            self.target,
            len(self.rows),
            decode=timed(self._decoder.decode, self.records),
            map=timed(self._mapped, self.events),
            enrich=timed(enrich, made),
            encode=timed(lambda several: [encode(entity) for entity in several], entities),
            gate=timed(check_all, written),
            compiled=timed(self.compiled, self.events),
            interpret=timed(self.interpreted, self.events),
        )

    def compiled(self, event: Event) -> list[dict[str, Any]]:
        items: Sequence[Any] = [None]
        if self.mapping_set.iterate is not None:
            items = Interpreter(event.body).items(self.mapping_set.iterate)
        return [self._run(event.body, item, TIMESTAMP_MS) for item in items]

    def interpreted(self, event: Event) -> list[dict[str, Any]]:
        return Interpreter(event.body, TIMESTAMP_MS).entities(
            self.rows, self._arrays, self.mapping_set.iterate
        )

    def _mapped(self, event: Event) -> list[Mapped]:
        return self._mapper.map(event, self.target, TIMESTAMP_MS)

    def _compiled(self) -> tuple[MappingSet, list[CheckedRow], Compiled]:
        mapping_set, problems = load(self._schema.mapping_files[self.target], tenant=TENANT)
        root = shapes.of_avro(self._schema.avro)
        rows, found = check(mapping_set, root, types=XdmTypes(self._xdm.document, TENANT))
        tree, conflicts = arrange(mapping_set, rows)
        assert not [*problems, *found, *conflicts]
        return mapping_set, rows, compile_set(mapping_set, tree, UTC)

    def _examples(self) -> list[Event]:
        """The examples that give messages."""
        found = []
        for file in sorted((builtin_directory() / self.event / "examples").glob("*/input.json")):
            try:
                event = self._decoder.decode(Record("t", 0, 0, value=file.read_bytes()))
                self._mapper.map(event, self.target, TIMESTAMP_MS)
            except Refused:
                continue
            found.append(event)
        return found

    def _as_avro(self, event: Event) -> Record:
        schema = self._schema.parsed
        return Record(
            "t", 0, 0, value=wire.single_object(schema.fingerprint, schema.write(event.body))
        )


def best_us(step: Callable[[Any], object], over: Sequence[Any], seconds: float) -> float:
    """Microseconds of CPU time of a step on one item: the best round of several.

    CPU time and the best round, so that the neighbours of a busy machine count least.
    """
    for item in over:
        step(item)
    begin = time.process_time()
    for item in over:
        step(item)
    once = max(time.process_time() - begin, 1e-6)
    repeats = max(1, int(seconds / ROUNDS / once))
    rounds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(repeats):
            for item in over:
                step(item)
        rounds.append((time.process_time() - begin) / repeats / len(over))
    return min(rounds) * 1e6


def show(results: Sequence[Steps]) -> None:
    table = Table(title="microseconds a record")
    columns = ("decode", "map", "enrich", "encode", "gate", "compiled", "interpret")
    for name in ("event", "target", "rows", *columns, "faster"):
        table.add_column(name, justify="left" if name in {"event", "target"} else "right")
    for one in results:
        times = [f"{getattr(one, name):.1f}" for name in columns]
        table.add_row(one.event, one.target, str(one.rows), *times, f"{one.times_faster:.1f}x")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each step (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    options = parser.parse_args()
    results, gain = measured(options.seconds)
    if options.json:
        said = {
            "python": platform.python_version(),
            "times_faster": gain,
            "steps": [asdict(one) for one in results],
        }
        sys.stdout.write(json.dumps(said) + "\n")
    return 0 if gain >= PROMISED else 1


def measured(seconds: float) -> tuple[list[Steps], float]:
    """Measure every event for each of its targets, and show it.

    Args:
        seconds: for each step.

    Returns:
        The steps, and how many times as fast as reading the rows compiled mapping is.
    """
    folder = SchemaFolder.load(SchemasSettings())
    results = []
    for name, event in folder.events.items():
        for target in event.mapping_files:
            console.print(f"{name} to {target}")
            results.append(Case(folder, name, target).measured(seconds))
    show(results)
    gain = sum(one.interpret for one in results) / sum(one.compiled for one in results)
    console.print(
        f"Compiled mapping is {gain:.1f} times as fast as reading the rows (promised: {PROMISED})."
    )
    return results, gain


if __name__ == "__main__":
    sys.exit(main())
