from typing import Any

import pytest

from processor.errors import Code, Refused
from processor.experience_platform.enrich import Enricher, event_identifier, fresh_id
from processor.experience_platform.identity import Identities
from processor.mapping.mapper import Mapped
from processor.record import Event
from processor.settings.models import IdentitySettings

DATA: dict[str, Any] = {"customerIdentifiers": {"customerId": 42}}
BODY: dict[str, Any] = {
    "eventName": "pointsIssued",
    "eventId": "4647d7b7",
    "refId": "51186_627e",
    "createdAt": 1750224535590,
    "data": DATA,
}


def event(**changes: Any) -> Event:
    return Event("pointsIssued", {**BODY, **changes})


def enricher() -> Enricher:
    return Enricher(Identities(IdentitySettings()))


def test_a_single_message_carries_the_event_id_as_it_is() -> None:
    mapped = Mapped({"timestamp": "t"}, DATA)

    identifier = enricher().enrich(event(), mapped, index=0, count=1)

    assert identifier == mapped.entity["_id"] == "4647d7b7"
    assert mapped.entity["identityMap"]["CapillaryCustomerId"][0]["id"] == "42"


def test_several_messages_of_one_event_are_told_apart_by_their_index() -> None:
    mapped = [Mapped({}, DATA), Mapped({}, DATA)]

    found = [enricher().enrich(event(), m, index=i, count=2) for i, m in enumerate(mapped)]

    assert found == ["4647d7b7-0", "4647d7b7-1"]


def test_a_row_of_the_mapping_set_decides_about_the_id() -> None:
    mapped = Mapped({"_id": "from-the-row"}, DATA)

    identifier = enricher().enrich(event(), mapped, index=1, count=2)

    assert identifier == mapped.entity["_id"] == "from-the-row"


def test_a_row_of_the_mapping_set_decides_about_the_identities() -> None:
    own = {"LoyaltyId": [{"id": "L1", "primary": True}]}
    mapped = Mapped({"identityMap": own}, {})

    enricher().enrich(event(), mapped, index=0, count=1)

    assert mapped.entity["identityMap"] is own


def test_the_identities_of_an_iterated_item_are_its_own() -> None:
    mapped = Mapped({}, {"customerIdentifiers": {"customerId": 7}})

    enricher().enrich(event(), mapped, index=0, count=1)

    assert mapped.entity["identityMap"]["CapillaryCustomerId"][0]["id"] == "7"


@pytest.mark.parametrize("source", [{}, {"customerIdentifiers": None}, {"customerIdentifiers": []}])
def test_an_entity_without_identity_is_refused(source: dict[str, Any]) -> None:
    mapped = Mapped({}, source)

    with pytest.raises(Refused) as caught:
        enricher().enrich(event(), mapped, index=0, count=1)

    assert caught.value.code is Code.MAPPING_NO_IDENTITY


@pytest.mark.parametrize("event_id", [None, "", "  ", "null", "None"])
def test_without_an_event_id_four_fields_make_one(event_id: str | None) -> None:
    found = event_identifier(event(eventId=event_id))

    assert found == "51186_627e:pointsIssued:1750224535590:42"


@pytest.mark.parametrize(
    "missing",
    [
        {"refId": None},
        {"refId": ""},
        {"createdAt": None},
        {"createdAt": 0},
        {"data": {}},
        {"data": {"customerIdentifiers": {"customerId": None}}},
        {"data": None},
    ],
)
def test_without_all_four_fields_the_content_makes_one(missing: dict[str, Any]) -> None:
    one = event(eventId=None, **missing)
    reordered = Event(one.name, dict(sorted(one.body.items(), reverse=True)))

    found = event_identifier(one)

    assert len(found) == 64
    assert found == event_identifier(reordered)
    assert found != event_identifier(event(eventId=None, orgId=1, **missing))


def test_the_content_may_hold_avro_bytes_and_unpaired_surrogates() -> None:
    one = event(eventId=None, refId=None, raw=b"\x00\xff", text="\ud800", big=2**70)

    found = event_identifier(one)

    assert found == event_identifier(
        event(eventId=None, refId=None, raw=b"\x00\xff", text="\ud800", big=2**70)
    )


def test_content_that_json_cannot_carry_is_the_records_fault() -> None:
    with pytest.raises(Refused) as caught:
        event_identifier(event(eventId=None, refId=None, odd=object()))

    assert caught.value.code is Code.EVENT_INVALID


@pytest.mark.parametrize("entity", [{}, {"_id": "of the mapping"}])
def test_with_a_label_the_id_is_a_fresh_one_and_the_same_each_time(entity: dict[str, Any]) -> None:
    def made(label: str) -> str:
        mapped = Mapped(dict(entity), DATA)
        identities = Identities(IdentitySettings())
        identifier = Enricher(identities, label=label).enrich(event(), mapped, index=0, count=1)
        assert identifier == mapped.entity["_id"]
        return identifier

    assert made("") == entity.get("_id", "4647d7b7")
    assert made("again") == made("again") == fresh_id(made(""), "again")
    assert len({made(""), made("again"), made("once more")}) == 3


def test_fresh_ids_stay_as_they_are() -> None:
    assert fresh_id("4647d7b7", "again") == "e05da18d-c875-54d6-9dc4-e0b819513901"
