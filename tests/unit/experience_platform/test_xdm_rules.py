from typing import Any

import jsonschema_rs
import pytest

from processor.experience_platform.xdm_rules import as_experience_platform, is_event, with_tenant

NAME = {"properties": {"first": {"type": "string"}}}


def allows(document: dict[str, Any], entity: object) -> bool:
    return jsonschema_rs.validator_for(as_experience_platform(document)).is_valid(entity)


@pytest.mark.parametrize(
    "document",
    [
        NAME,
        {"allOf": [NAME, {"properties": {"last": {}}}]},
        {"properties": {"last": {}}, "allOf": [NAME]},
        {"anyOf": [NAME, {"properties": {"last": {}}}]},
        {"definitions": {"name": NAME}, "$ref": "#/definitions/name"},
        {"definitions": {"name": NAME}, "allOf": [{"$ref": "#/definitions/name"}]},
        {"allOf": [{"allOf": [NAME]}]},
    ],
)
def test_an_object_is_closed_over_everything_it_names(document: dict[str, Any]) -> None:
    assert allows(document, {"first": "x"})
    assert not allows(document, {"first": "x", "other": 1})


def test_both_parts_of_a_composition_may_be_used_together() -> None:
    document = {"allOf": [NAME, {"properties": {"last": {"type": "string"}}}]}

    assert allows(document, {"first": "x", "last": "y"})
    assert not allows(document, {"first": "x", "last": 1})


@pytest.mark.parametrize(
    "document",
    [
        {"properties": {"name": NAME}},
        {"properties": {"name": {"items": NAME}}},
        {"properties": {"name": {"additionalProperties": NAME}}},
    ],
)
def test_objects_inside_are_closed_too(document: dict[str, Any]) -> None:
    inner: dict[str, Any] = {"first": "x", "other": 1}

    assert not all(allows(document, {"name": value}) for value in (inner, [inner], {"k": inner}))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"type": "object"},
        {**NAME, "additionalProperties": True},
        {**NAME, "additionalProperties": {"type": "integer"}},
        {**NAME, "patternProperties": {"^o": {}}},
        {"allOf": [NAME, {"additionalProperties": {}}]},
    ],
)
def test_an_object_that_says_so_stays_open(document: dict[str, Any]) -> None:
    assert allows(document, {"first": "x", "other": 1})


def test_a_definition_that_contains_itself_is_neither_endless_nor_closed() -> None:
    document = {
        "definitions": {
            "node": {
                "properties": {
                    "next": {"$ref": "#/definitions/node"},
                    "last": {"$ref": "#/definitions/node"},
                }
            }
        },
        "properties": {"root": {"$ref": "#/definitions/node"}},
    }

    assert allows(document, {"root": {"next": {"next": {"next": {}}}}})
    assert not allows(document, {"root": {"other": 1}})


def test_the_document_itself_is_not_changed() -> None:
    document: dict[str, Any] = {"properties": {"name": {"properties": {"first": {}}}}}

    as_experience_platform(document)

    assert document == {"properties": {"name": {"properties": {"first": {}}}}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"meta:class": "https://ns.adobe.com/xdm/context/experienceevent"}, True),
        (
            {"meta:class": "https://ns.adobe.com/xdm/context/profile", "required": ["timestamp"]},
            False,
        ),
        ({"meta:extends": ["https://ns.adobe.com/xdm/context/experienceevent"]}, True),
        ({"required": ["_id", "timestamp"]}, True),
        ({"required": ["_id"]}, False),
        ({}, False),
    ],
)
def test_the_class_of_a_schema_tells_events_from_records(
    document: dict[str, Any], expected: bool
) -> None:
    assert is_event(document) is expected


def test_only_the_tenants_field_is_renamed() -> None:
    document = {"title": "t", "properties": {"_id": {}, "_tenant": NAME}}

    assert with_tenant(document, "acme") == {"title": "t", "properties": {"_id": {}, "_acme": NAME}}
