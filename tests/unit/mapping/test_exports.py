"""Mapping sets as Experience Platform gives them: with all it adds, and never written for us.

The shapes are those of Adobe's documentation: the mapping sets page, the answers of
``GET /conversion/mappingSets/{id}`` that its tutorials show, and their requests; the values are
ours.
"""

from typing import Any

import pytest

CURRENT: dict[str, Any] = {
    "id": "d2b5a0f43c8e4e2d8a41f6a0c9be7712",
    "name": "Store events",
    "version": 3,
    "createdDate": 1_740_000_000_000,
    "modifiedDate": 1_740_000_360_000,
    "createdBy": "ops@AdobeID",
    "modifiedBy": "ops@AdobeID",
    "allowNullValues": False,
    "inputSchema": {"id": "0b4f9d1d61c24a2a8d8a6f6f4a3f7f11", "version": 0},
    "outputSchema": {
        "schemaRef": {
            "id": "https://ns.adobe.com/acme/schemas/5a1e7c52c6d94d0f",
            "contentType": "application/vnd.adobe.xed-full+json;version=1",
        }
    },
    "mappings": [
        {
            "id": "c2a1",
            "version": 0,
            "createdDate": 1_740_000_000_000,
            "sourceType": "ATTRIBUTE",
            "source": "data.text",
            "destination": "_acme.store.name",
            "name": "Store",
            "description": "as the till says",
            "functionVersion": 0,
            "expressionAttributes": [],
        },
        {"sourceType": "STATIC", "source": "true", "destination": "_acme.store.open"},
        {"sourceType": "STATIC", "source": "12", "destination": "_acme.store.floor"},
        {
            "sourceType": "EXPRESSION",
            "source": 'iif(data.whole gt 10, "many", concat("few: ", data.whole))',
            "destination": "_acme.store.visits",
            "expressionAttributes": ["data.whole"],
            "functionVersion": 1,
        },
        {
            "sourceType": "ATTRIBUTE",
            "source": "data.lines[*].sku",
            "destination": "productListItems[*].SKU",
        },
        {"sourceType": "ATTRIBUTE", "source": "data.lines[0].price", "destination": "first"},
        {"sourceType": "ATTRIBUTE", "source": "data.tags", "destination": "_acme.tags"},
        {"sourceType": "ATTRIBUTE", "source": "data.labels.${front\\.door}", "destination": "door"},
        {"sourceType": "ATTRIBUTE", "source": "data.labels.back\\.door", "destination": "back"},
        {"sourceType": "ATTRIBUTE", "source": "data.customerIdentifiers", "destination": "who"},
        {"sourceType": "EXPRESSION", "source": "data.labels.${the cellar}", "destination": "stock"},
    ],
    "_links": {"self": {"href": "/mappingSets/d2b5"}},
}

XDM = {
    "type": "object",
    "properties": {
        "_acme": {
            "type": "object",
            "properties": {
                "store": {
                    "type": "object",
                    "properties": {
                        "open": {"type": "boolean"},
                        "floor": {"type": "integer"},
                    },
                }
            },
        }
    },
}


def legacy_row(source: str, destination: str) -> dict[str, Any]:
    """A row of a stored set: both namings at once."""
    return {
        "id": f"row-of-{destination}",
        "version": 0,
        "createdDate": 1_568_000_000_000,
        "modifiedDate": 1_568_000_000_000,
        "sourceType": "text/x.schema-path",
        "source": source,
        "destination": destination,
        "identity": False,
        "primaryIdentity": False,
        "matchScore": 0.0,
        "functionVersion": 0,
        "copyModeMapping": False,
        "sourceAttribute": source,
        "destinationXdmPath": destination,
    }


STORED: dict[str, Any] = {
    "id": "1f7a2c0e-1c55-4b6d-9c1b-3b6b9a2d4f10",
    "version": 1,
    "createdDate": 1_568_000_000_000,
    "modifiedDate": 1_568_000_018_000,
    "inputSchemaRef": {"id": None, "contentType": None},
    "outputSchemaRef": {"id": "https://ns.adobe.com/acme/schemas/417a", "contentType": "1.0"},
    "mappings": [
        legacy_row("data.text", "person.name.firstName"),
        legacy_row("data.other", "person.name.lastName"),
    ],
    "status": "PUBLISHED",
    "xdmVersion": "1.0",
    "schemaRef": {"id": "https://ns.adobe.com/acme/schemas/2574", "contentType": "1.0"},
    "xdmSchema": "https://ns.adobe.com/acme/schemas/2574",
    "transformScript": None,
}

REQUESTED: dict[str, Any] = {
    "version": 0,
    "xdmSchema": "https://ns.adobe.com/acme/schemas/2574",
    "xdmVersion": "1.0",
    "id": None,
    "mappings": [
        {
            "destinationXdmPath": destination,
            "sourceAttribute": source,
            "identity": identity,
            "identityGroup": None,
            "namespaceCode": "Email" if identity else None,
            "version": 0,
        }
        for source, destination, identity in (
            ("data.text", "person.name.firstName", False),
            ("data.other", "person.name.lastName", True),
        )
    ],
}


def test_a_current_export_loads_as_it_is_and_maps(trial: Any, event: Any) -> None:
    mapper = trial.mapper_of(CURRENT, xdm=XDM)

    mapped = mapper.map(
        event(
            text="Pune 4",
            whole=7,
            lines=[{"sku": "A", "price": 2.5}, {"sku": "B"}],
            tags=["new"],
            labels={"front.door": "open", "back.door": "shut", "the cellar": "full"},
            customerIdentifiers={"customerId": 5},
        ),
        "event",
        None,
    )

    assert mapped[0].entity == {
        "_acme": {
            "store": {"name": "Pune 4", "open": True, "floor": 12, "visits": "few: 7"},
            "tags": ["new"],
        },
        "productListItems": [{"SKU": "A"}, {"SKU": "B"}],
        "first": 2.5,
        "door": "open",
        "back": "shut",
        "who": {"customerId": 5},
        "stock": "full",
    }


@pytest.mark.parametrize("document", [STORED, REQUESTED], ids=["stored", "requested"])
def test_an_export_with_legacy_names_loads_as_it_is_and_maps(
    trial: Any, event: Any, document: dict[str, Any]
) -> None:
    mapper = trial.mapper_of(document)

    mapped = mapper.map(event(text="Ada", other="Lovelace"), "event", None)

    assert mapped[0].entity == {"person": {"name": {"firstName": "Ada", "lastName": "Lovelace"}}}


def test_a_current_name_that_is_null_leaves_the_legacy_one(trial: Any, event: Any) -> None:
    row = {**legacy_row("data.text", "a"), "source": None, "destination": None}

    mapped = trial.mapper_of({"mappings": [row]}).map(event(text="x"), "event", None)

    assert mapped[0].entity == {"a": "x"}


@pytest.mark.parametrize(
    ("data", "source", "destination", "gives"),
    [
        ({"text": "js"}, "data.text", "name", {"name": "js"}),
        ({"text": "js"}, "data.text", "pi.name", {"pi": {"name": "js"}}),
        ({"text": "js"}, "data.text", "list[0]", {"list": ["js"]}),
        (
            {"lines": [{"sku": "J"}, {"sku": "K"}]},
            "data.lines[0].sku",
            "pi.email",
            {"pi": {"email": "J"}},
        ),
        (
            {"lines": [{"sku": "J"}, {"sku": "K"}]},
            "data.lines",
            "pi.list",
            {"pi": {"list": [{"sku": "J"}, {"sku": "K"}]}},
        ),
        (
            {"lines": [{"sku": "J"}, {"sku": "K"}]},
            "data.lines[*].sku",
            "pi[*].names",
            {"pi": [{"names": "J"}, {"names": "K"}]},
        ),
    ],
)
def test_the_kinds_of_rows_of_adobes_page_of_mapping_sets(
    trial: Any, data: dict[str, Any], source: str, destination: str, gives: Any
) -> None:
    assert trial.one(("ATTRIBUTE", source, destination), **data) == gives


def test_an_expression_that_adobe_publishes_runs_as_it_is(trial: Any) -> None:
    # Of the source connector for Marketo, with a field of ours.
    expression = (
        "iif(${data}.${text} != null, to_object('ECID', arrays_to_objects('id', "
        'explode(last(split(${data}.${text}, ":")), " "))), null)'
    )

    assert trial.value(expression, text="x:11 22") == {"ECID": [{"id": "11"}, {"id": "22"}]}
    assert trial.value(expression) is None
