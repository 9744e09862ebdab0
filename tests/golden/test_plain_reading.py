"""Each shipped mapping set, read row by row as plainly as it can be, gives what its code gives."""

import pytest

from processor.errors import Refused
from processor.mapping import shapes
from processor.mapping.checker import check
from processor.mapping.deletion import mappable
from processor.mapping.mapper import Mapper
from processor.mapping.mapping_set import load
from processor.mapping.xdm_types import XdmTypes
from processor.record import Record
from processor.schemas.decoder import Decoder
from processor.schemas.folder import SchemaFolder, builtin_directory
from processor.settings import (
    CapillarySettings,
    ConverterSettings,
    MappingSettings,
    SchemasSettings,
    TargetSettings,
)
from tests.bench.mapping import Case
from tests.interpreter import Interpreter, arrays_of

FOLDER = SchemaFolder.load(SchemasSettings())
TIMESTAMP_MS = 1_750_000_000_000
SETS = [(name, target) for name, event in FOLDER.events.items() for target in event.mapping_files]


@pytest.mark.parametrize(("name", "target"), SETS, ids="/".join)
def test_compiled_code_gives_what_reading_the_rows_gives(name: str, target: str) -> None:
    event = FOLDER.events[name]
    settings = TargetSettings(inlet_id="i", dataset_id="d", schema_id="none of ours")
    xdm = FOLDER.xdm_schema(target, settings)
    mapper = Mapper(FOLDER, MappingSettings(), tenant="acme", targets=[target], xdm={target: xdm})
    decoder = Decoder(FOLDER, ConverterSettings(), CapillarySettings(), registry=False)
    mapping_set, _ = load(event.mapping_files[target], tenant="acme")
    types = XdmTypes(xdm.document, "acme")
    rows, _ = check(mapping_set, shapes.of_avro(event.avro), types=types)

    compared = 0
    for file in (builtin_directory() / name / "examples").glob("*/input.json"):
        body = decoder.decode(Record("t", 0, 0, value=file.read_bytes()))
        try:
            mapped = mapper.map(body, target, TIMESTAMP_MS)
        except Refused:
            continue
        plain = Interpreter(mappable(body.body), TIMESTAMP_MS)
        expected = plain.entities(
            rows, arrays_of(rows, mapping_set.iterate), mapping_set.iterate, mapping_set.when
        )
        assert [one.entity for one in mapped] == expected
        compared += 1

    assert compared


def test_the_benchmark_of_steps_times_each_of_them() -> None:
    steps = Case(FOLDER, *SETS[0]).measured(seconds=0.01)

    assert (steps.event, steps.target) == SETS[0]
    assert steps.rows > 0
    assert min(steps.decode, steps.map, steps.gate, steps.interpret) > 0
