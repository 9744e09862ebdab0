"""XDM schemas: closed like Adobe's, found by what a message says, explained in Adobe's words."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.simulator.formats import FORMATS
from processor.simulator.violations import explain, streaming_validation
from processor.simulator.xdm import MOST_TENANTS, XdmSchema, XdmSchemas, builtin_directory

SMALL = {
    "$id": "https://ns.adobe.com/acme/schemas/small",
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": "string", "pattern": "^[A-Z]+$", "minLength": 2, "maxLength": 3},
        "n": {"type": "number", "minimum": 0, "maximum": 10},
        "x": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
        "i": {"type": "integer"},
        "b": {"type": "boolean"},
        "e": {"type": "string", "enum": ["one", "two"]},
        "c": {"const": "only"},
        "t": {"type": "string", "format": "date-time"},
        "l": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
        "o": {"type": "object", "properties": {"deep/er": {"type": "string"}}},
        "m": {"type": "object", "additionalProperties": {"type": "integer"}},
        "r": {"$ref": "#/definitions/r"},
        "p": {"allOf": [{"required": ["q"]}], "properties": {"q": {"type": "string"}}},
        "_tenant": {"type": "object", "properties": {"note": {"type": "string"}}},
    },
    "definitions": {"r": {"type": ["string", "null"]}},
}


def schema(**changes: Any) -> XdmSchema:
    return XdmSchema("small", {**SMALL, **changes}, "small.json")


def found(entity: object, tenant: str | None = None) -> list[tuple[str, str, str]]:
    return [
        (finding["keyword"], finding["pointerToViolation"], finding["message"])
        for finding in schema().violations(entity, tenant=tenant)
    ]


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ({}, ("required", "#", "required key [a] not found")),
        ([], ("type", "#", "expected type: JSONObject, found: JSONArray")),
        ({"a": None}, ("type", "#/a", "expected type: String, found: Null")),
        ({"a": 5}, ("type", "#/a", "expected type: String, found: Long")),
        ({"a": {}}, ("type", "#/a", "expected type: String, found: JSONObject")),
        ({"a": "AA", "b": 1.5}, ("type", "#/b", "expected type: Boolean, found: Double")),
        ({"a": "AA", "i": 1.5}, ("type", "#/i", "expected type: Integer, found: Double")),
        ({"a": "AA", "i": True}, ("type", "#/i", "expected type: Integer, found: Boolean")),
        ({"a": "AA", "n": "1"}, ("type", "#/n", "expected type: Number, found: String")),
        (
            {"a": "AA", "zz": 1},
            ("additionalProperties", "#", "extraneous key [zz] is not permitted"),
        ),
        (
            {"a": "AA", "o": {"zz": 1}},
            ("additionalProperties", "#/o", "extraneous key [zz] is not permitted"),
        ),
        (
            {"a": "AA", "o": {"deep/er": 1}},
            ("type", "#/o/deep~1er", "expected type: String, found: Long"),
        ),
        ({"a": "AA", "m": {"k": ""}}, ("type", "#/m/k", "expected type: Integer, found: String")),
        ({"a": "AA", "l": ["x", 1]}, ("type", "#/l/1", "expected type: String, found: Long")),
        ({"a": "AA", "l": []}, ("minItems", "#/l", "expected minimum item count: 1, found: 0")),
        (
            {"a": "AA", "l": ["", "", ""]},
            ("maxItems", "#/l", "expected maximum item count: 2, found: 3"),
        ),
        ({"a": "aa"}, ("pattern", "#/a", "string [aa] does not match pattern ^[A-Z]+$")),
        ({"a": "AA\n"}, ("pattern", "#/a", "string [AA\n] does not match pattern ^[A-Z]+$")),
        ({"a": "A"}, ("minLength", "#/a", "expected minLength: 2, actual: 1")),
        ({"a": "AAAA"}, ("maxLength", "#/a", "expected maxLength: 3, actual: 4")),
        ({"a": "AA", "n": -1}, ("minimum", "#/n", "-1 is not greater or equal to 0")),
        ({"a": "AA", "n": 11}, ("maximum", "#/n", "11 is not less or equal to 10")),
        ({"a": "AA", "x": 0}, ("exclusiveMinimum", "#/x", "0 is not greater than 0")),
        ({"a": "AA", "x": 10}, ("exclusiveMaximum", "#/x", "10 is not less than 10")),
        ({"a": "AA", "e": "six"}, ("enum", "#/e", "six is not a valid enum value")),
        ({"a": "AA", "c": "x"}, ("const", "#/c", "expected constant value: only")),
        ({"a": "AA", "r": 5}, ("type", "#/r", "expected type: String or Null, found: Long")),
        ({"a": "AA", "p": {}}, ("required", "#/p", "required key [q] not found")),
    ],
)
def test_a_violation_is_told_in_adobes_words(
    entity: object, expected: tuple[str, str, str]
) -> None:
    assert found(entity) == [expected]


@pytest.mark.parametrize(
    "entity",
    [
        {"a": "AA"},
        {"a": "AA", "i": 3.0, "n": 10, "x": 1, "b": False, "e": "two", "c": "only"},
        {"a": "AA", "m": {"any": 1}, "r": None, "p": {"q": "", "open": 1}, "o": {}},
        {"a": "AA", "t": "2025-07-14T12:00:00.123456789-06:00"},
    ],
)
def test_what_the_schema_describes_passes(entity: object) -> None:
    assert found(entity) == []


def test_a_violation_says_where_in_the_schema_the_rule_stands() -> None:
    (finding,) = schema().violations({"a": "AA", "l": [1]}, tenant=None)

    assert finding["schemaLocation"] == "#/properties/l/items"
    assert finding["causingExceptions"] == []


def test_validation_stops_after_five_errors() -> None:
    findings = schema().violations({"a": "AA", **{f"k{n}": n for n in range(9)}}, tenant=None)

    assert len(findings) == 5
    assert streaming_validation(findings)[0]["message"] == "5 schema violations found"


@pytest.mark.parametrize(
    ("tenant", "key", "valid"),
    [
        (None, "_anything", True),
        ("acme", "_acme", True),
        ("acme", "_other", False),
        ("acme", "_tenant", False),
    ],
)
def test_fields_of_the_tenant_stand_under_its_own_key(
    tenant: str | None, key: str, valid: bool
) -> None:
    assert (found({"a": "AA", key: {"note": "x"}}, tenant) == []) is valid


def test_fields_of_the_tenant_are_validated_too() -> None:
    assert found({"a": "AA", "_acme": {"note": 5, "zz": 1}}) == [
        ("type", "#/_acme/note", "expected type: String, found: Long"),
        ("additionalProperties", "#/_acme", "extraneous key [zz] is not permitted"),
    ]


def test_a_schema_of_the_tenants_own_is_taken_as_it_is() -> None:
    own = {name: node for name, node in SMALL["properties"].items() if name != "_tenant"}  # type: ignore[attr-defined]  # a dict of dicts

    refused = schema(properties=own).violations({"a": "AA", "_x": {}}, tenant="x")

    assert [finding["keyword"] for finding in refused] == ["additionalProperties"]


def test_made_up_tenants_do_not_fill_the_memory() -> None:
    small = schema()

    results = [
        small.violations({"a": "AA", f"_t{n}": {"note": "x"}}, tenant=None)
        for n in range(MOST_TENANTS + 3)
    ]

    assert results[0] == []
    assert results[-1] != []


@pytest.mark.parametrize(
    "broken",
    [
        {"properties": {"a": {"type": "text"}}},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": {"a": {"$ref": "https://ns.adobe.com/xdm/context/profile"}}},
        {"properties": {"a": {"$ref": "file:///etc/hostname"}}},
    ],
)
def test_a_schema_that_cannot_be_used_is_the_set_ups_fault(broken: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=re.escape("small.json cannot be compiled")):
        schema(**broken)


class TestWhichSchema:
    @pytest.fixture
    def choose(self, schemas_directory: Path) -> Callable[..., list[str]]:
        schemas = XdmSchemas(schemas_directory)

        def chosen(inlet: str, schema_id: str, **entity: object) -> list[str]:
            return [schema.name for schema in schemas.candidates(inlet, schema_id, entity)]

        return chosen

    def test_by_its_id(self, choose: Any) -> None:
        assert choose("x", "https://ns.adobe.com/acme/schemas/small-loyalty") == ["loyalty"]

    def test_by_the_id_of_another_tenant(self, choose: Any) -> None:
        assert choose("x", "https://ns.adobe.com/other/schemas/small-loyalty") == ["loyalty"]

    def test_by_a_word_of_the_inlet(self, choose: Any) -> None:
        assert choose("demo-loyalty", "https://ns.adobe.com/acme/schemas/5f0c") == ["loyalty"]

    def test_by_a_word_of_the_id(self, choose: Any) -> None:
        assert choose("5f0c", "https://ns.adobe.com/acme/schemas/event") == ["event"]

    def test_by_the_shape_of_the_entity(self, choose: Any) -> None:
        assert choose("5f0c", "x", timestamp="") == ["event"]
        assert choose("5f0c", "x", loyalty={}) == ["loyalty"]


def test_of_several_possible_schemas_the_one_that_fits_counts(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        document = {"properties": {name: {"type": "string"}, "n": {"type": "string"}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    schemas = XdmSchemas(tmp_path)

    candidates = schemas.candidates("inlet", "id", {"two": ""})

    assert [schema.name for schema in candidates] == ["one", "two"]
    assert candidates[0].violations({"two": ""}, tenant=None) != []
    assert candidates[1].violations({"two": ""}, tenant=None) == []


def test_a_directory_without_schemas_is_the_set_ups_fault(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="holds no XDM schema"):
        XdmSchemas(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "event.json").write_text(text)

    with pytest.raises(Misconfigured, match=re.escape("event.json")):
        XdmSchemas(tmp_path)


def test_the_products_own_schemas_can_be_used() -> None:
    schemas = XdmSchemas()

    assert builtin_directory().name == "xdm"
    assert {"event", "profile", "loyalty"} <= set(schemas.names)
    assert schemas.named("event").time_series
    assert not schemas.named("loyalty").time_series


def test_the_explanation_holds_where_the_validator_cannot_say() -> None:
    document = {"properties": {"a": {"not": {"type": "string"}}}}

    (finding,) = XdmSchema("n", document, "n.json").violations({"a": ""}, tenant=None)

    assert explain(document, {"a": ""}) == []
    assert finding["keyword"] == "schema"


@pytest.mark.parametrize(
    ("name", "text", "valid"),
    [
        ("date-time", "2025-07-14T12:00:00Z", True),
        ("date-time", "2025-07-14T12:00:00.1Z", True),
        ("date-time", "2025-07-14T12:00:00.123456789+05:30", True),
        ("date-time", "2025-07-14T12:00:00.1234567890Z", False),
        ("date-time", "2025-07-14T12:00:00", False),
        ("date-time", "2025-07-14 12:00:00Z", False),
        ("date-time", "2025-07-14T12:00Z", False),
        ("date-time", "2025-07-14T12:00:00+0530", False),
        ("date-time", "2025-07-14T12:00:00+25:00", False),
        ("date-time", "2025-02-30T12:00:00Z", False),
        ("date-time", "2025-07-14T24:00:00Z", False),
        ("date-time", "2025-07-14T12:00:00Z\n", False),
        ("date-time", "٢٠٢٥-07-14T12:00:00Z", False),
        ("date-time", "1752494400000", False),
        ("date", "2025-02-28", True),
        ("date", "2025-02-29", False),
        ("date", "20250228", False),
        ("email", "a@b.c", True),
        ("email", "a@b@c", False),
        ("email", "a b@c", False),
        ("uri", "https://example.com/x", True),
        ("uri", "/x", False),
        ("uri-reference", "/x", True),
        ("uri-reference", "a b", False),
    ],
)
def test_formats_are_as_strict_as_adobes(name: str, text: str, valid: bool) -> None:
    assert FORMATS[name](text) is valid
