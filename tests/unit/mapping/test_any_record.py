"""Whatever a valid record holds, our mapping sets map it or refuse it; nothing else happens."""

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.errors import Code, Refused
from processor.mapping.mapper import Mapped, Mapper
from processor.record import Event
from processor.schemas.folder import SchemaFolder
from processor.settings import MappingSettings, SchemasSettings

FOLDER = SchemaFolder.load(SchemasSettings())
TARGETS = sorted({target for event in FOLDER.events.values() for target in event.mapping_files})
MAPPER = Mapper(FOLDER, MappingSettings(), tenant="acme", targets=TARGETS)
LONGS = st.one_of(
    st.sampled_from([0, -1, 1_750_224_535_590, 1_750_224_535, 2**63 - 1, -(2**63), 2**53 + 1]),
    st.integers(-(2**63), 2**63 - 1),
)
TEXTS = st.one_of(
    st.sampled_from(["", " ", "REGULAR", "return", "null", "a@b", "\x00\u202e", "2025-06-29"]),
    st.text(max_size=12),
)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "string": TEXTS,
    "long": LONGS,
    "int": st.integers(-(2**31), 2**31 - 1),
    "double": st.one_of(st.floats(), st.floats(-1e6, 1e6)),
    "boolean": st.booleans(),
}


def records(schema: Any, named: dict[str, st.SearchStrategy[Any]], space: str = "") -> Any:
    """What a record of a schema may hold, as the decoder gives it."""
    if isinstance(schema, list):
        return st.one_of(*(records(branch, named, space) for branch in schema))
    if isinstance(schema, str):
        full = schema if "." in schema else f"{space}.{schema}"
        known = {**named, **PRIMITIVES}
        return known[schema] if schema in known else known[full]
    if schema["type"] == "array":
        return st.lists(records(schema["items"], named, space), max_size=3)
    if schema["type"] == "map":
        return st.dictionaries(TEXTS, records(schema["values"], named, space), max_size=2)
    if schema["type"] != "record":
        return records(schema["type"], named, space)
    space = schema.get("namespace", space)
    fields = {f["name"]: records(f["type"], named, space) for f in schema["fields"]}
    made = st.fixed_dictionaries(fields)
    named[f"{space}.{schema['name']}"] = made
    return made


def outcome_of(mapper: Mapper, event: Event, target: str) -> list[Mapped] | Refused:
    try:
        return mapper.map(event, target, None)
    except Refused as refused:
        return refused


def holds_nothing_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(map(holds_nothing_empty, value.values()))
    if isinstance(value, list):
        return bool(value) and all(map(holds_nothing_empty, value))
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


@pytest.mark.parametrize("mode", ["strict", "lenient"])
@pytest.mark.parametrize("name", FOLDER.events)
def test_any_valid_record_is_mapped_or_refused(name: str, mode: Any) -> None:
    mapper = Mapper(FOLDER, MappingSettings(mode=mode), tenant="acme", targets=TARGETS)

    @settings(
        max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(records(FOLDER.events[name].avro, {}))
    def map_it(body: Mapping[str, Any]) -> None:
        before = repr(body)
        for target in mapper.targets_of(name):
            mapped = outcome_of(mapper, Event(name, body), target)
            if isinstance(mapped, Refused):
                assert mode == "strict"
                assert mapped.code in {Code.MAPPING_EXPRESSION, Code.MAPPING_TYPE}
                assert mapped.pointer.startswith("/")
                continue
            for one in mapped:
                assert all(holds_nothing_empty(value) for value in one.entity.values())
                assert json.loads(orjson.dumps(one.entity)) == one.entity
        assert repr(body) == before

    map_it()


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), LONGS, st.floats(), TEXTS, st.binary(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["data", "customerIdentifiers", "instore", "createdAt", "customFields"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    st.sampled_from(sorted(FOLDER.events)),
    st.dictionaries(st.sampled_from(["data", "orgId", "createdAt"]), JUNK),
)
def test_even_what_no_decoder_gives_is_mapped_or_refused(name: str, body: dict[str, Any]) -> None:
    for target in MAPPER.targets_of(name):
        mapped = outcome_of(MAPPER, Event(name, body), target)
        if isinstance(mapped, Refused):
            assert mapped.code in {Code.MAPPING_EXPRESSION, Code.MAPPING_TYPE}
        else:
            orjson.dumps([one.entity for one in mapped])
