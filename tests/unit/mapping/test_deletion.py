"""A deletion of personal data: what a mapping set, ours or an operator's, may see of it."""

import json
from typing import Any

import pytest

from processor.mapping.deletion import mappable
from processor.mapping.mapper import Mapper
from processor.record import Event
from processor.schemas.folder import SchemaFolder
from processor.settings import MappingSettings, SchemasSettings

PERSONAL = ("Asha", "asha@example.com", "12025550143", "EXT-1001", "4001", "wx-9", "1990-02-03")


def deletion(**status: Any) -> dict[str, Any]:
    return {
        "eventName": "customerUpdated",
        "eventId": "e-1",
        "orgId": 51186,
        "createdAt": 1_752_000_000_000,
        "traceAttributes": {"user": "Asha"},
        "data": {
            "customerIdentifiers": {
                "customerId": 7,
                "firstName": "Asha",
                "instore": {
                    "email": "asha@example.com",
                    "mobile": "12025550143",
                    "externalId": "EXT-1001",
                    "cardNumbers": ["4001"],
                },
                "wechat": {"accounts": [{"accountId": "wx-9", "identifiers": None}]},
            },
            "customerStatus": {"reason": "Asha asked for it", **status},
            "firstName": "Asha",
            "updatedFields": [{"fieldName": "email", "previousValue": "asha@example.com"}],
            "customFields": [{"key": "birthday", "value": "1990-02-03"}],
            "enteredAt": 1_752_000_000_000,
            "whatCapillaryAddsTomorrow": "Asha",
        },
    }


@pytest.mark.parametrize(
    "status",
    [
        {"currentLabel": "Deleted"},
        {"currentLabel": " DELETED "},
        {"currentLabel": None, "currentStatus": "deleted"},
    ],
)
def test_of_a_deletion_only_the_customer_id_the_status_and_times_are_left(
    status: dict[str, Any],
) -> None:
    left = mappable(deletion(**status))

    assert left["data"]["customerIdentifiers"] == {"customerId": 7}
    assert left["data"]["enteredAt"] == 1_752_000_000_000
    assert left["data"]["customerStatus"]["currentLabel"] == status["currentLabel"]
    assert left["eventId"] == "e-1"
    assert [word for word in PERSONAL if word in json.dumps(left)] == []


@pytest.mark.parametrize("status", [{"currentLabel": "Active"}, {"previousLabel": "Deleted"}, {}])
def test_any_other_event_is_mapped_as_it_is(status: dict[str, Any]) -> None:
    body = deletion(**status)

    assert mappable(body) is body
    assert mappable({"data": None})["data"] is None


def test_no_mapping_set_sees_more_of_it() -> None:
    mapper = Mapper(
        SchemaFolder.load(SchemasSettings()),
        MappingSettings(),
        tenant="acme",
        targets=["event", "profile"],
    )
    event = Event("customerAdded", deletion(currentLabel="Deleted"))

    mapped = mapper.map(event, "profile", None)[0]
    traces = mapper.explain(event, "profile", None)

    assert mapped.source["customerIdentifiers"] == {"customerId": 7}
    assert [word for word in PERSONAL if word in repr((mapped, traces))] == []
