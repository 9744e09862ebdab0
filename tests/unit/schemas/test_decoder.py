"""From a record to an event: which event it is, and whether it is ours."""

import copy
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Code, Filtered, FilterReason, Misconfigured, Refused
from processor.record import Event, Headers, Record
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.catalogue import DOCUMENTED_EVENTS, is_documented
from processor.schemas.decoder import Decoder, SchemaMissing
from processor.schemas.folder import SchemaFolder
from processor.schemas.wire import SchemaKey, confluent, guid_header, single_object
from processor.settings import CapillarySettings, ConverterSettings, SchemasSettings

KEY = SchemaKey(7)
Make = Callable[..., Decoder]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(folder: SchemaFolder, clock: Clock) -> Make:
    def decoder(*, org_ids: list[int] | None = None, registry: bool = True, **more: Any) -> Decoder:
        return Decoder(
            folder,
            ConverterSettings(**more),
            CapillarySettings(org_ids=org_ids or []),
            registry=registry,
            clock=clock,
        )

    return decoder


def record(value: bytes | None, headers: Headers = ()) -> Record:
    return Record("capillary.events", 0, 42, value=value, headers=headers)


def as_json(event: dict[str, Any]) -> Record:
    return record(json.dumps(event).encode())


def framed(schema: WriterSchema, event: dict[str, Any]) -> Record:
    return record(confluent(7, schema.write(event)))


def learnt(decoder: Decoder, schema: dict[str, Any], event: dict[str, Any]) -> Event:
    """What becomes of an event that this schema wrote."""
    writer = vet(schema)
    decoder.learn(KEY, writer)
    return decoder.decode(framed(writer, event))


def refusal(decoder: Decoder, one: Record) -> Refused:
    with pytest.raises(Refused) as caught:
        decoder.decode(one)
    return caught.value


def test_every_wire_format_gives_the_same_event(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    decoder, writer, guid = make(), vet(points_issued), uuid.uuid4()
    decoder.learn(KEY, writer)
    decoder.learn(SchemaKey(guid), writer)
    payload = writer.write(event)

    events = [
        decoder.decode(record(confluent(7, payload))),
        decoder.decode(record(payload, [guid_header(guid)])),
        decoder.decode(record(single_object(writer.fingerprint, payload))),
        decoder.decode(as_json(event)),
        decoder.decode(as_json({"eventId": event["eventId"], "attributes": event})),
    ]

    assert all((e.name, e.body) == ("pointsIssued", event) for e in events)
    crc = writer.fingerprint[::-1].hex()
    assert [e.schema_id for e in events] == ["7", str(guid), crc, "", ""]


def test_a_schema_that_is_not_here_yet_is_asked_for(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    decoder, writer = make(), vet(points_issued)

    with pytest.raises(SchemaMissing) as caught:
        decoder.decode(framed(writer, event))
    decoder.learn(caught.value.key, writer)

    assert decoder.decode(framed(writer, event)).schema_id == "7"


def test_a_refused_schema_refuses_its_records_without_being_asked_for_again(make: Make) -> None:
    decoder = make()
    decoder.learn(KEY, Refused("It is recursive.", code=Code.DECODE_SCHEMA_REFUSED))

    first, second = (refusal(decoder, record(confluent(7, b"x"))) for _ in range(2))

    assert first.code is second.code is Code.DECODE_SCHEMA_REFUSED
    assert first is not second


def test_an_id_that_was_unknown_is_asked_for_again_after_a_minute(make: Make, clock: Clock) -> None:
    decoder = make()
    decoder.learn(KEY, Refused("Unknown.", code=Code.DECODE_UNKNOWN_SCHEMA_ID))

    early = refusal(decoder, record(confluent(7, b"x")))
    clock.now_s += 61

    assert early.code is Code.DECODE_UNKNOWN_SCHEMA_ID
    with pytest.raises(SchemaMissing):
        decoder.decode(record(confluent(7, b"x")))


def test_nonsense_ids_do_not_fill_the_memory(make: Make) -> None:
    decoder, refused = make(), Refused("Unknown.", code=Code.DECODE_SCHEMA_REFUSED)
    for schema_id in range(1, 2_002):
        decoder.learn(SchemaKey(schema_id), refused)

    with pytest.raises(SchemaMissing):
        decoder.decode(record(confluent(1, b"x")))
    assert refusal(decoder, record(confluent(2_001, b"x"))).code is Code.DECODE_SCHEMA_REFUSED


def test_a_framed_record_without_a_registry_is_the_set_ups_fault(make: Make) -> None:
    with pytest.raises(Misconfigured, match=r"schema_registry\.url"):
        make(registry=False).decode(record(confluent(7, b"x")))


def test_an_unknown_fingerprint_is_refused(make: Make) -> None:
    refused = refusal(make(), record(single_object(bytes(8), b"x")))

    assert refused.code is Code.DECODE_UNKNOWN_SCHEMA_ID


def test_an_older_version_of_the_folder_is_known_by_its_fingerprint(
    own: SchemasSettings,
    write: Callable[[str, Any], Path],
    points_issued: dict[str, Any],
    event: dict[str, Any],
) -> None:
    points_issued["fields"][2]["type"] = "int"
    write("pointsIssued/versions/1.avsc", points_issued)
    decoder = Decoder(
        SchemaFolder.load(own), ConverterSettings(), CapillarySettings(), registry=False
    )
    older = vet(points_issued)

    found = decoder.decode(record(single_object(older.fingerprint, older.write(event))))

    assert found.body == event


@pytest.mark.parametrize(
    "name", ["com.capillarytech.events.PointsIssued", "PointsIssued", "x.Points", "pointsIssued"]
)
def test_the_records_name_says_which_event_it_is(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any], name: str
) -> None:
    points_issued |= {"name": name, "namespace": ""}
    points_issued["fields"][0]["type"] = ["null", "string"]
    points_issued["fields"][0]["name"] = "eventName"

    assert learnt(make(), points_issued, event).body == event


def test_else_the_event_name_says_it(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    points_issued |= {"name": "Generated", "namespace": "some.bridge"}

    found = learnt(make(), points_issued, {**event, "eventName": " pointsIssued "})

    assert (found.name, found.body) == ("pointsIssued", event)


@pytest.mark.parametrize("said", ["customerAdded", "", "PointsIssued"])
def test_a_name_that_contradicts_the_schema_is_refused(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused) as caught:
        learnt(make(), points_issued, {**event, "eventName": said})

    assert (caught.value.code, caught.value.pointer) == (Code.EVENT_INVALID, "/eventName")
    assert (caught.value.event_name, caught.value.event_id) == ("pointsIssued", None)


def test_two_writers_of_one_record_name_are_kept_apart(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    decoder, newer = make(), copy.deepcopy(points_issued)
    newer["fields"].insert(0, {"name": "added", "type": "string"})
    old, new = vet(points_issued), vet(newer)
    decoder.learn(SchemaKey(1), old)
    decoder.learn(SchemaKey(2), new)

    first = decoder.decode(record(confluent(1, old.write(event))))
    second = decoder.decode(record(confluent(2, new.write({**event, "added": "x"}))))

    assert first.body == second.body == event


def test_a_writer_that_does_not_resolve_is_refused_with_the_place(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    points_issued["fields"][2]["type"] = "string"

    with pytest.raises(Refused) as caught:
        learnt(make(), points_issued, {**event, "orgId": "1"})

    assert (caught.value.code, caught.value.pointer) == (Code.DECODE_RESOLUTION, "/orgId")


def test_a_value_framed_twice_is_refused(
    make: Make, points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    decoder, writer = make(), vet(points_issued)
    decoder.learn(KEY, writer)

    twice = record(confluent(7, confluent(7, writer.write(event))))

    assert refusal(decoder, twice).code.value.startswith("decode.")


def test_a_null_value_is_filtered_or_refused_as_the_settings_say(make: Make) -> None:
    with pytest.raises(Filtered) as caught:
        make().decode(record(None))

    assert caught.value.reason is FilterReason.TOMBSTONE
    assert refusal(make(on_null_value="dead_letter"), record(None)).code is Code.EVENT_INVALID


@pytest.mark.parametrize("name", ["pointsExpired", "tierRenewed", "targetAchieved"])
def test_an_event_without_a_mapping_set_is_filtered_or_refused(make: Make, name: str) -> None:
    with pytest.raises(Filtered) as caught:
        make().decode(as_json({"eventName": name}))

    assert (caught.value.reason, caught.value.event_name) == (FilterReason.UNMAPPED_EVENT, name)
    refused = refusal(make(on_unmapped_event="dead_letter"), as_json({"eventName": name}))
    assert (refused.code, refused.event_name) == (Code.EVENT_UNMAPPED, name)


def test_an_avro_event_without_a_mapping_set_is_filtered(make: Make, folder: SchemaFolder) -> None:
    schema = dict(folder.events["tierRenewed"].avro)

    with pytest.raises(Filtered) as caught:
        learnt(make(), schema, {"eventName": "tierRenewed", "orgId": 1})

    assert caught.value.reason is FilterReason.UNMAPPED_EVENT


@pytest.mark.parametrize("name", ["PointsIssued", "neverHeardOf", "targeted", "x" * 500, "<b>\n"])
def test_an_unknown_event_is_refused_or_filtered(make: Make, name: str) -> None:
    refused = refusal(make(), as_json({"eventName": name}))
    with pytest.raises(Filtered) as caught:
        make(on_unknown_event="filter").decode(as_json({"eventName": name}))

    assert refused.code is Code.EVENT_UNKNOWN
    assert refused.event_name in {name, ""}
    assert (refused.event_name == name) == (name in str(refused))
    assert caught.value.reason is FilterReason.UNKNOWN_EVENT
    assert "<b>" not in str(refused)
    assert len(str(refused)) < 200


@pytest.mark.parametrize("name", [None, 7, "", " ", []])
def test_an_event_name_that_is_no_name_is_refused(make: Make, name: Any) -> None:
    refused = refusal(make(), as_json({"eventName": name}))

    assert (refused.code, refused.pointer) == (Code.EVENT_INVALID, "/eventName")


def test_events_of_another_organisation_are_refused(make: Make, event: dict[str, Any]) -> None:
    assert make(org_ids=[1, 51186]).decode(as_json(event)).name == "pointsIssued"

    refused = refusal(make(org_ids=[1]), as_json(event))

    assert (refused.code, refused.pointer) == (Code.EVENT_WRONG_ORG, "/orgId")
    assert "51186" not in str(refused)


def test_only_the_formats_that_the_settings_want_are_decoded(
    make: Make, event: dict[str, Any]
) -> None:
    assert refusal(make(value="avro"), as_json(event)).code is Code.DECODE_FRAMING
    assert refusal(make(value="json"), record(confluent(7, b""))).code is Code.DECODE_FRAMING


def test_a_bulk_coupon_may_say_that_it_is_a_coupon(
    own: SchemasSettings, write: Callable[[str, Any], Path]
) -> None:
    fields = [{"name": "eventName", "type": "string"}]
    schema = {"type": "record", "name": "IssueBulkCoupon", "fields": fields}
    write("IssueBulkCoupon/event.avsc", schema)
    write("IssueBulkCoupon/to-event.json", {})
    decoder = Decoder(
        SchemaFolder.load(own), ConverterSettings(), CapillarySettings(), registry=True
    )

    found = learnt(decoder, schema, {"eventName": "CouponIssue"})

    assert (found.name, found.body) == ("IssueBulkCoupon", {"eventName": "CouponIssue"})


def test_the_catalogue_has_the_events_of_adobes_integration() -> None:
    adobe = {
        *("pointsIssued", "pointsRedeemed", "pointsExpired", "pointsExpiryReminder"),
        *("pointsExpiryChange", "tierUpgraded", "tierDowngraded", "tierRenewed"),
        *("tierDowngradeReminder", "customerAdded", "customerUpdated", "transactionAdded"),
        *("transactionUpdated", "promotionEarned"),
    }

    assert adobe <= DOCUMENTED_EVENTS
    assert is_documented("cartPromotionEarned")
    assert is_documented("unifiedTargetsAchieved")
    assert not is_documented("unifiedTargets")
    assert not is_documented("pointsissued")


def test_our_own_events_are_read_from_json_and_avro_alike() -> None:
    folder = SchemaFolder.load(SchemasSettings())
    decoder = Decoder(folder, ConverterSettings(), CapillarySettings(), registry=False)
    examples = [
        path
        for event in folder.events.values()
        for path in sorted(event.folder.glob("examples/*/input.json"))
    ]

    for path in examples:
        event = decoder.decode(record(path.read_bytes()))
        schema = folder.events[event.name].parsed
        framed_again = single_object(schema.fingerprint, schema.write(event.body))
        assert decoder.decode(record(framed_again)).body == event.body, path
