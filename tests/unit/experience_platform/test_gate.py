import json
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from processor.errors import Code, Misconfigured, Refused, Violation
from processor.experience_platform.gate import Gate
from processor.schemas.folder import XdmSchema

EVENT: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-06/schema#",
    "$id": "https://ns.adobe.com/acme/schemas/events",
    "type": "object",
    "meta:class": "https://ns.adobe.com/xdm/context/experienceevent",
    "properties": {
        "_id": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "email": {"type": "string", "format": "email"},
        "day": {"type": "string", "format": "date"},
        "state": {"type": "string", "enum": ["on", "off"]},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "name": {"type": "string", "minLength": 2, "maxLength": 4},
        "level": {"type": "integer", "minimum": 1, "maximum": 9},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "unique": {"type": "array", "uniqueItems": True},
        "either": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
        "points": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"value": {"type": "number"}},
                "required": ["value"],
            },
        },
        "identityMap": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "object"}},
        },
        "_tenant": {"type": "object", "properties": {"programId": {"type": "integer"}}},
    },
    "required": ["_id", "timestamp"],
}
RECORD: dict[str, Any] = {
    "type": "object",
    "meta:class": "https://ns.adobe.com/xdm/context/profile",
    "properties": {"note": {"type": "string"}, "timestamp": {"type": "string"}},
}
GOOD: dict[str, Any] = {"_id": "1", "timestamp": "2025-06-18T05:28:55.590Z"}
NOW_S = 1_750_224_535.0


def gate(
    document: dict[str, Any] = EVENT,
    *,
    tenant_owned: bool = True,
    on_profile_limit: Literal["dead_letter", "send"] = "dead_letter",
    tenant: str = "",
) -> Gate:
    return Gate(
        "event",
        XdmSchema(document, Path("event.json"), tenant_owned),
        on_profile_limit,
        tenant=tenant,
        clock=lambda: NOW_S,
    )


def check(checked: Gate, entity: dict[str, Any]) -> None:
    checked.check(entity, orjson.dumps(entity))


def refusal(entity: dict[str, Any], *, by: Gate | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        check(by or gate(), entity)
    return caught.value


def test_a_valid_event_passes_without_warnings() -> None:
    checked = gate()

    check(checked, GOOD)

    assert checked.warned_entities == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"_id": 7},
            Violation("type", "expected type: String, found: Long", "#/_id", "#/properties/_id"),
        ),
        (
            {"_id": None},
            Violation("type", "expected type: String, found: Null", "#/_id", "#/properties/_id"),
        ),
        (
            {"level": "9"},
            Violation(
                "type", "expected type: Integer, found: String", "#/level", "#/properties/level"
            ),
        ),
        (
            {"level": True},
            Violation(
                "type", "expected type: Integer, found: Boolean", "#/level", "#/properties/level"
            ),
        ),
        (
            {"level": 1.5},
            Violation(
                "type", "expected type: Integer, found: Double", "#/level", "#/properties/level"
            ),
        ),
        (
            {"tags": {}},
            Violation(
                "type", "expected type: JSONArray, found: JSONObject", "#/tags", "#/properties/tags"
            ),
        ),
        (
            {"tags": ["a", 1]},
            Violation(
                "type", "expected type: String, found: Long", "#/tags/1", "#/properties/tags/items"
            ),
        ),
        (
            {"workEmail": "canary"},
            Violation(
                "additionalProperties", "extraneous key [workEmail] is not permitted", "#", "#"
            ),
        ),
        (
            {"points": [{}]},
            Violation(
                "required",
                "required key [value] not found",
                "#/points/0",
                "#/properties/points/items",
            ),
        ),
        (
            {"state": "canary"},
            Violation("enum", "not a valid enum value", "#/state", "#/properties/state"),
        ),
        (
            {"currency": "canary"},
            Violation(
                "pattern",
                "string does not match pattern ^[A-Z]{3}$",
                "#/currency",
                "#/properties/currency",
            ),
        ),
        (
            {"name": "c"},
            Violation(
                "minLength", "expected minLength: 2, actual: 1", "#/name", "#/properties/name"
            ),
        ),
        (
            {"name": "canary"},
            Violation(
                "maxLength", "expected maxLength: 4, actual: 6", "#/name", "#/properties/name"
            ),
        ),
        (
            {"level": 0},
            Violation("minimum", "not greater or equal to 1", "#/level", "#/properties/level"),
        ),
        (
            {"level": 10},
            Violation("maximum", "not less or equal to 9", "#/level", "#/properties/level"),
        ),
        (
            {"share": 0},
            Violation("exclusiveMinimum", "not greater than 0", "#/share", "#/properties/share"),
        ),
        (
            {"share": 1},
            Violation("exclusiveMaximum", "not less than 1", "#/share", "#/properties/share"),
        ),
        (
            {"tags": []},
            Violation(
                "minItems",
                "expected minimum item count: 1, found: 0",
                "#/tags",
                "#/properties/tags",
            ),
        ),
        (
            {"tags": ["a", "b", "c"]},
            Violation(
                "maxItems",
                "expected maximum item count: 2, found: 3",
                "#/tags",
                "#/properties/tags",
            ),
        ),
        (
            {"unique": [1, 1]},
            Violation(
                "uniqueItems", "array items are not unique", "#/unique", "#/properties/unique"
            ),
        ),
        (
            {"either": 1},
            Violation("anyOf", "no subschema matched", "#/either", "#/properties/either"),
        ),
        (
            {"email": "canary"},
            Violation("format", "not a valid email", "#/email", "#/properties/email"),
        ),
        (
            {"day": "2025-02-30"},
            Violation("format", "not a valid date", "#/day", "#/properties/day"),
        ),
    ],
)
def test_a_violation_is_named_in_adobes_words_without_its_value(
    change: dict[str, Any], expected: Violation
) -> None:
    refused = refusal({**GOOD, **change})

    assert refused.code is Code.GATE_VIOLATION
    assert refused.violations == (expected,)
    assert "canary" not in str(refused)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-06-18T05:28:55Z",
        "2025-06-18T05:28:55.1Z",
        "2025-06-18T05:28:55.123456789Z",
        "2025-06-18T05:28:55+05:30",
        "2025-06-17T05:28:55.590-08:00",
    ],
)
def test_the_date_times_that_adobe_accepts_pass(timestamp: str) -> None:
    check(gate(), {**GOOD, "timestamp": timestamp})


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-06-18",
        "2025-06-18T05:28:55",
        "2025-06-18 05:28:55Z",
        "2025-06-18t05:28:55z",
        "2025-06-18T05:28:55+0530",
        "2025-06-18T05:28Z",
        "2025-02-30T05:28:55Z",
        "2025-06-18T25:28:55Z",
        "2025-06-18T05:28:55.1234567890Z",
        "canary",
    ],
)
def test_other_date_times_are_refused_as_format(timestamp: str) -> None:
    refused = refusal({**GOOD, "timestamp": timestamp})

    assert {v.keyword for v in refused.violations} == {"format"}
    assert len(refused.violations) == 1
    assert refused.violations[0].message.startswith(
        "not a valid date-time. Expected [yyyy-MM-dd'T'"
    )
    assert refused.pointer == "/timestamp"


def test_at_most_five_violations_are_told() -> None:
    refused = refusal({**GOOD, **{f"extra{i}": i for i in range(9)}})

    assert len(refused.violations) == 5


def test_array_positions_are_exact_in_the_violation_and_general_in_the_pointer() -> None:
    refused = refusal({**GOOD, "points": [{"value": 1}, {"value": "x"}]})

    assert refused.violations[0].pointer_to_violation == "#/points/1/value"
    assert refused.pointer == "/points/*/value"


def test_the_pointer_names_a_missing_field_itself() -> None:
    refused = refusal({**GOOD, "points": [{"value": 1}, {}]})

    assert refused.pointer == "/points/*/value"


def test_the_pointer_does_not_depend_on_the_order_of_the_keys() -> None:
    faulty = {**GOOD, "level": "x", "currency": 1}

    pointers = {refusal(faulty).pointer, refusal(dict(reversed(faulty.items()))).pointer}

    assert pointers == {"/currency"}


def test_a_key_that_may_be_customer_data_is_not_quoted() -> None:
    refused = refusal({**GOOD, "canary@example.com": 1, "identityMap": {"canary x": 1}})

    told = json.dumps([v.as_adobe() for v in refused.violations]) + str(refused) + refused.pointer
    assert "canary" not in told


@pytest.mark.parametrize(
    "change", [{"unknown": 1}, {"state": "paused"}, {"points": [{"value": 1, "more": 2}]}]
)
def test_against_our_schema_unknown_keys_and_enum_values_are_only_counted(
    change: dict[str, Any],
) -> None:
    checked = gate(tenant_owned=False)

    check(checked, {**GOOD, **change})
    check(checked, {**GOOD, **change})

    assert checked.warned_entities == 2
    assert list(checked.warnings.values()) == [2]


@pytest.mark.parametrize(
    ("change", "keyword"),
    [({"_id": 7}, "type"), ({"points": [{}]}, "required"), ({"timestamp": "noon"}, "format")],
)
def test_against_our_schema_type_required_and_format_refuse(
    change: dict[str, Any], keyword: str
) -> None:
    refused = refusal({**GOOD, "unknown": 1, **change}, by=gate(tenant_owned=False))

    assert [v.keyword for v in refused.violations] == [keyword]


def test_the_kinds_of_warnings_are_bounded() -> None:
    checked = gate(tenant_owned=False)

    check(checked, {**GOOD, **{f"key{i}": i for i in range(400)}})

    assert len(checked.warnings) == 256


def test_our_tenant_field_is_checked_under_the_organisations_name() -> None:
    checked = gate(tenant_owned=False, tenant="acme")

    refused = refusal({**GOOD, "_acme": {"programId": "x"}}, by=checked)

    assert refused.pointer == "/_acme/programId"
    assert checked.warned_entities == 0


def test_a_tenants_own_schema_keeps_its_names() -> None:
    refused = refusal({**GOOD, "_acme": {}}, by=gate(tenant="acme"))

    assert refused.pointer == "/_acme"


def padded(size_bytes: int, entity: dict[str, Any], key: str) -> dict[str, Any]:
    empty = len(orjson.dumps({**entity, key: ""}))
    return {**entity, key: "x" * (size_bytes - empty)}


@pytest.mark.parametrize(
    ("document", "entity", "key", "limit_bytes"),
    [(EVENT, GOOD, "either", 10_000), (RECORD, {}, "note", 100_000)],
    ids=["event", "record"],
)
def test_what_profile_would_drop_for_its_size_is_refused(
    document: dict[str, Any], entity: dict[str, Any], key: str, limit_bytes: int
) -> None:
    checked = gate(document)

    check(checked, padded(limit_bytes, entity, key))
    refused = refusal(padded(limit_bytes + 1, entity, key), by=checked)

    assert refused.code is Code.GATE_TOO_LARGE


def test_an_operator_may_send_what_profile_drops() -> None:
    checked = gate(on_profile_limit="send")

    check(checked, padded(20_000, GOOD, "either"))


@pytest.mark.parametrize("timestamp", ["2025-06-18T05:33:55Z", "2025-06-18T11:03:54.9+05:30"])
def test_a_clock_that_is_five_minutes_ahead_passes(timestamp: str) -> None:
    check(gate(), {**GOOD, "timestamp": timestamp})


@pytest.mark.parametrize(
    "timestamp", ["2025-06-18T05:33:56Z", "2025-06-18T11:03:56+05:30", "2125-01-01T00:00:00Z"]
)
@pytest.mark.parametrize("tenant_owned", [True, False])
def test_an_event_from_the_future_is_refused(timestamp: str, tenant_owned: bool) -> None:
    refused = refusal({**GOOD, "timestamp": timestamp}, by=gate(tenant_owned=tenant_owned))

    assert refused.code is Code.GATE_VIOLATION
    assert refused.pointer == "/timestamp"
    assert timestamp not in str(refused)


@pytest.mark.parametrize("timestamp", ["1999-12-31T23:59:59.999Z", "1970-01-21T06:10:24.535Z"])
def test_an_event_from_before_2000_is_refused(timestamp: str) -> None:
    refused = refusal({**GOOD, "timestamp": timestamp})

    assert refused.code is Code.GATE_VIOLATION
    assert refused.pointer == "/timestamp"
    assert "before 2000" in str(refused)


def test_the_first_moment_of_2000_passes() -> None:
    check(gate(), {**GOOD, "timestamp": "2000-01-01T05:30:00+05:30"})


def identities(*items: dict[str, Any], namespace: str = "Email") -> dict[str, Any]:
    return {**GOOD, "identityMap": {"Crm": [{"id": "7", "primary": True}], namespace: list(items)}}


@pytest.mark.parametrize("tenant_owned", [True, False])
@pytest.mark.parametrize("on_profile_limit", ["send", "dead_letter"])
def test_a_second_primary_identity_is_refused(
    tenant_owned: bool, on_profile_limit: Literal["dead_letter", "send"]
) -> None:
    checked = gate(tenant_owned=tenant_owned, on_profile_limit=on_profile_limit)
    check(checked, identities({"id": "canary", "primary": False}, {"id": "b"}))

    refused = refusal(identities({"id": "canary", "primary": True}), by=checked)

    assert refused.code is Code.GATE_VIOLATION
    assert refused.pointer == "/identityMap"
    assert refused.violations == (
        Violation(
            "identityMap",
            "expected primary identities: 1, found: 2",
            "#/identityMap",
            "#/properties/identityMap",
        ),
    )


def test_without_a_primary_identity_profile_drops_unless_a_field_is_one() -> None:
    entity = {**GOOD, "identityMap": {"Crm": [{"id": "7"}]}}

    assert "found: 0" in str(refusal(entity))
    check(gate(on_profile_limit="send"), entity)
    check(gate(), GOOD)


@pytest.mark.parametrize("item", [{"id": " "}, {"id": ""}, {"id": None}, {"primary": False}])
def test_a_blank_identity_is_refused_with_its_place(item: dict[str, Any]) -> None:
    refused = refusal(identities({"id": "a"}, item))

    assert refused.pointer == "/identityMap/Email/*/id"
    assert refused.violations[0].pointer_to_violation == "#/identityMap/Email/1/id"


def test_a_namespace_that_may_be_customer_data_is_not_quoted() -> None:
    refused = refusal(identities({"id": ""}, namespace="canary @example.com"))

    assert "canary" not in f"{refused} {refused.pointer} {refused.violations}"


def test_a_record_may_name_a_future_time() -> None:
    check(gate(RECORD), {"timestamp": "2125-01-01T00:00:00Z"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"canary", "\ud800", 2**70, {1: 2}])
def test_a_value_that_json_cannot_carry_is_refused_and_crashes_nothing(value: object) -> None:
    with pytest.raises(Refused) as caught:
        gate().check({**GOOD, "level": value}, b"{}")

    assert caught.value.code is Code.GATE_VIOLATION
    assert "canary" not in str(caught.value)


def test_a_schema_cannot_make_the_gate_read_another_document(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"type": "object"}')

    with pytest.raises(Misconfigured):
        gate({"properties": {"a": {"$ref": other.as_uri()}}})


@pytest.mark.parametrize(
    "document",
    [
        {"type": "nonsense"},
        {"$ref": "http://169.254.169.254/schema.json"},
        {"properties": {"a": {"$ref": "https://example.com/other.json"}}},
        {"properties": {"a": {"$ref": "#/definitions/missing"}}},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_a_schema_that_cannot_be_used_is_the_set_ups_fault(document: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as caught:
        gate(document)

    assert "event.json" in str(caught.value)
