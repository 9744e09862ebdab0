"""Every example of the schemas folder: what goes in, and exactly what comes out."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from processor.errors import Refused
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.gate import Gate
from processor.experience_platform.identity import Identities
from processor.mapping.mapper import Mapper
from processor.record import Event, Record
from processor.schemas.catalogue import DOCUMENTED_EVENTS
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
from processor.simulator.xdm import XdmSchemas

DIRECTORY = builtin_directory()
FOLDER = SchemaFolder.load(SchemasSettings())
TARGETS = sorted({target for event in FOLDER.events.values() for target in event.mapping_files})
CASES = sorted(file.parent for file in DIRECTORY.glob("*/examples/*/input.json"))
NOW_S = 1_900_000_000.0
SIMULATED = XdmSchemas()


def names_of(cases: Iterable[Path]) -> list[str]:
    return [f"{case.parent.parent.name}/{case.name}" for case in cases]


SETTINGS = TargetSettings(inlet_id="i", dataset_id="d", schema_id="none of ours")
XDM = {target: FOLDER.xdm_schema(target, SETTINGS) for target in TARGETS}


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    return Mapper(FOLDER, MappingSettings(), tenant="acme", targets=TARGETS, xdm=XDM)


@pytest.fixture(scope="module")
def gates() -> Mapping[str, Gate]:
    return {
        target: Gate(
            target,
            XDM[target],
            "dead_letter",
            tenant="acme",
            clock=lambda: NOW_S,
        )
        for target in TARGETS
    }


def decoded(case: Path) -> Event:
    decoder = Decoder(FOLDER, ConverterSettings(), CapillarySettings(), registry=False)
    return decoder.decode(Record("t", 0, 0, value=(case / "input.json").read_bytes()))


def made(mapper: Mapper, event: Event, target: str) -> list[dict[str, Any]]:
    enricher = Enricher(Identities(IdentitySettings()))
    mapped = mapper.map(event, target, None)
    for index, one in enumerate(mapped):
        enricher.enrich(event, one, index=index, count=len(mapped))
    return [one.entity for one in mapped]


def test_every_event_of_the_integration_and_the_rewards_is_mapped() -> None:
    integration = {
        *("pointsIssued", "pointsRedeemed", "pointsExpired", "pointsExpiryReminder"),
        *("pointsExpiryChange", "tierUpgraded", "tierDowngraded", "tierRenewed"),
        *("tierDowngradeReminder", "customerAdded", "customerUpdated", "transactionAdded"),
        *("transactionUpdated", "promotionEarned"),
    }
    rewards = {
        *("rewardIssued", "CouponIssue", "CouponRedeem", "badgeEarned", "loyaltyCustomerMerge"),
    }

    assert set(FOLDER.events) == integration | rewards
    assert set(FOLDER.events) <= DOCUMENTED_EVENTS
    assert all("event" in event.xdm for event in FOLDER.events.values())


def test_whatever_is_not_promised_may_be_missing() -> None:
    """In a schema that evolves, a field without a default breaks the readers of old records."""
    promised = {"eventName", "orgId", "createdAt", "data"}

    for name, event in FOLDER.events.items():
        assert {f["name"] for f in event.avro["fields"] if "default" not in f} == promised
        (data,) = (f["type"] for f in event.avro["fields"] if f["name"] == "data")
        for field in fields_inside(data):
            assert (field["type"][0], field["default"]) == ("null", None), (name, field["name"])
            assert field["doc"].endswith("."), (name, field["name"])


def fields_inside(schema: Any) -> Iterable[Mapping[str, Any]]:
    """Every field of a schema, those of inner records too."""
    if isinstance(schema, list):
        for branch in schema:
            yield from fields_inside(branch)
    elif isinstance(schema, Mapping):
        for field in schema.get("fields", ()):
            yield field
            yield from fields_inside(field["type"])
        for inner in ("items", "values"):
            yield from fields_inside(schema.get(inner))


def test_there_are_several_examples_of_every_event() -> None:
    events = [case.parent.parent.name for case in CASES]

    assert {name: events.count(name) >= 4 for name in FOLDER.events} == dict.fromkeys(
        FOLDER.events, True
    )


@pytest.mark.parametrize("case", CASES, ids=names_of(CASES))
def test_an_example_gives_exactly_the_entities_in_its_files(
    case: Path, mapper: Mapper, gates: Mapping[str, Gate]
) -> None:
    event = decoded(case)

    entities = {target: made(mapper, event, target) for target in mapper.targets_of(event.name)}

    assert event.name == case.parent.parent.name
    assert entities == {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in case.glob("*.json")
        if file.stem != "input"
    }
    for target, found in entities.items():
        for entity in found:
            gates[target].check(entity, orjson.dumps(entity))


def test_the_gate_has_nothing_to_warn_about(mapper: Mapper, gates: Mapping[str, Gate]) -> None:
    for case in CASES:
        event = decoded(case)
        for target in mapper.targets_of(event.name):
            for entity in made(mapper, event, target):
                gates[target].check(entity, orjson.dumps(entity))

    assert {target: dict(gate.warnings) for target, gate in gates.items()} == {
        target: {} for target in TARGETS
    }


def test_each_row_of_our_mapping_sets_gives_something_in_some_example(mapper: Mapper) -> None:
    silent = {
        (name, target, row)
        for name, event in FOLDER.events.items()
        for target, file in event.mapping_files.items()
        for row in range(1, len(json.loads(file.read_text())["mappings"]) + 1)
    }

    for case in CASES:
        event = decoded(case)
        for target in mapper.targets_of(event.name):
            for message in mapper.explain(event, target, None):
                for trace in message:
                    if trace.value is not None:
                        silent.discard((event.name, target, trace.row.number))

    assert silent == set()


@pytest.mark.parametrize("case", CASES, ids=names_of(CASES))
def test_the_simulator_takes_what_an_example_gives(case: Path) -> None:
    """By another library and with Adobe's closed objects, where the gate only warns."""
    for file in case.glob("*.json"):
        if file.stem == "input":
            continue
        for entity in json.loads(file.read_text(encoding="utf-8")):
            assert SIMULATED.named(file.stem).violations(entity, tenant="acme") == []


@pytest.mark.parametrize("case", CASES, ids=names_of(CASES))
def test_a_redelivered_event_gives_the_same_bytes(case: Path, mapper: Mapper) -> None:
    first, second = decoded(case), decoded(case)

    for target in mapper.targets_of(first.name):
        assert orjson.dumps(made(mapper, first, target)) == orjson.dumps(
            made(mapper, second, target)
        )


TOTALS: Mapping[str, Callable[[Any], list[tuple[Any, ...]]]] = {
    "pointsIssued": lambda data: [
        (data["programCurrentPoints"], data["programLifetimePoints"], None)
    ],
    "pointsRedeemed": lambda data: [
        (one["programCurrentPoints"], None, None)
        for one in data["redemptionFromEarningPrograms"] or []
    ],
    "loyaltyCustomerMerge": lambda data: [
        (one["currentPoints"], one["lifetimePoints"], one["promisedPoints"])
        for one in data["survivorCustomerLoyaltySummary"] or []
    ],
}
"""The totals that an event tells: balance, ever issued, promised."""


def test_a_total_is_never_overwritten_by_what_one_event_added(mapper: Mapper) -> None:
    assert {name for name, event in FOLDER.events.items() if "loyalty" in event.xdm} == set(TOTALS)

    for case in CASES:
        event = decoded(case)
        if event.name not in TOTALS:
            continue
        told = [one for one in TOTALS[event.name](event.body["data"]) if one[0] is not None]
        loyalty = [entity["loyalty"] for entity in made(mapper, event, "loyalty")]

        assert told == [
            tuple(one.get(key) for key in ("points", "lifetimePoints", "promisedPoints"))
            for one in loyalty
        ]
        for one in loyalty:
            assert set(one) <= {"points", "lifetimePoints", "promisedPoints", "program"}


def test_a_record_of_state_without_its_state_is_not_sent(mapper: Mapper) -> None:
    silent = {
        ("pointsRedeemed/without-balances", "loyalty"),
        ("loyaltyCustomerMerge/without-a-victim", "loyalty"),
        ("loyaltyCustomerMerge/with-event-id", "loyalty"),
        ("tierUpgraded/without-a-tier", "tier"),
        ("tierDowngraded/without-a-tier", "tier"),
    }

    for name, target in silent:
        event, case = name.split("/")
        assert made(mapper, decoded(DIRECTORY / event / "examples" / case), target) == []
    for name, target, state in [
        ("pointsIssued", "loyalty", "programCurrentPoints"),
        ("tierRenewed", "tier", "currentTierNumber"),
    ]:
        without = decoded(DIRECTORY / name / "examples" / "only-customer-id")
        without.body["data"][state] = None
        assert made(mapper, without, target) == []


DELETED = sorted(DIRECTORY.glob("customerUpdated/examples/deleted*"))


@pytest.mark.parametrize("case", DELETED, ids=names_of(DELETED))
def test_of_a_deleted_customer_nothing_but_the_customer_id_is_sent(
    case: Path, mapper: Mapper
) -> None:
    event = decoded(case)
    identifiers = event.body["data"]["customerIdentifiers"]
    personal = set(texts_of(event.body["data"])) - set(
        texts_of({**event.body["data"]["customerStatus"], "reason": None})
    )

    entities = [one for target in event_targets(event) for one in made(mapper, event, target)]

    assert len(entities) == 2
    for entity in entities:
        assert entity["identityMap"] == {
            "CapillaryCustomerId": [
                {
                    "id": str(identifiers["customerId"]),
                    "authenticatedState": "authenticated",
                    "primary": True,
                }
            ]
        }
        assert set(entity) <= {"_id", "_acme", "eventType", "identityMap", "timestamp"}
        assert set(texts_of(entity)) & personal == set()
    assert personal


def event_targets(event: Event) -> Iterable[str]:
    return FOLDER.events[event.name].mapping_files


def texts_of(value: Any) -> Iterable[str]:
    """Every text in a value that is not empty."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)
    elif isinstance(value, str) and value:
        yield value


def test_a_message_of_an_event_holds_no_contact_outside_of_its_identities(mapper: Mapper) -> None:
    for case in CASES:
        event = decoded(case)
        for entity in made(mapper, event, "event"):
            rest = {name: value for name, value in entity.items() if name != "identityMap"}
            words = set(texts_of(rest))

            assert {w for w in words if "@" in w} == set(), case
            assert words & {"Asha", "Rivera", "Noor", "12025550143", "4001000100020003"} == set()


def test_each_coupon_of_one_event_goes_to_its_own_customer(mapper: Mapper) -> None:
    entities = made(
        mapper, decoded(DIRECTORY / "CouponIssue" / "examples" / "many-customers"), "event"
    )

    assert [
        (one["identityMap"]["CapillaryCustomerId"][0]["id"], one["_acme"]["loyaltyEvent"]["coupon"])
        for one in entities
    ] == [
        ("387979652", entities[0]["_acme"]["loyaltyEvent"]["coupon"] | {"code": "2YPHHF02"}),
        ("387979655", entities[1]["_acme"]["loyaltyEvent"]["coupon"] | {"code": "2YPHHF03"}),
        ("387979653", entities[2]["_acme"]["loyaltyEvent"]["coupon"] | {"code": "2YPHHF04"}),
    ]
    assert len({one["_id"] for one in entities}) == 3


def test_a_merged_customer_is_linked_to_the_survivor_by_the_customer_id_alone(
    mapper: Mapper,
) -> None:
    case = DIRECTORY / "loyaltyCustomerMerge" / "examples" / "two-into-one"

    (entity,) = made(mapper, decoded(case), "event")
    (balance,) = made(mapper, decoded(case), "loyalty")

    assert [
        (one["id"], one["primary"]) for one in entity["identityMap"]["CapillaryCustomerId"]
    ] == [("387979652", True), ("387979650", False)]
    assert "old.address@example.com" not in texts_of(entity)
    assert "+12025550188" not in texts_of(entity)
    assert len(balance["identityMap"]["CapillaryCustomerId"]) == 1


def test_a_return_is_no_purchase(mapper: Mapper) -> None:
    case = DIRECTORY / "transactionAdded" / "examples" / "return"

    entity = made(mapper, decoded(case), "event")[0]

    assert "purchases" not in entity["commerce"]
    assert "priceTotal" not in entity["commerce"]["order"]
    assert entity["eventType"] != "commerce.purchases"
    assert entity["commerce"]["order"]["refunds"][0]["refundAmount"] > 0


def test_an_update_of_a_bill_counts_nothing_again(mapper: Mapper) -> None:
    amounts = {"priceTotal", "discountAmount", "refundTotal"}

    for case in (DIRECTORY / "transactionUpdated" / "examples").iterdir():
        entity = made(mapper, decoded(case), "event")[0]
        order = entity["commerce"]["order"]

        assert entity["eventType"] == "loyalty.transactionUpdated"
        assert "purchases" not in entity["commerce"]
        assert amounts & set(order) == set()
        assert all("refundAmount" not in one for one in order.get("refunds", ()))


def test_an_event_without_any_identifier_is_refused(mapper: Mapper) -> None:
    case = DIRECTORY / "pointsIssued" / "examples" / "purchase"
    event = decoded(case)
    event.body["data"]["customerIdentifiers"] = None

    with pytest.raises(Refused) as caught:
        made(mapper, event, "event")

    assert caught.value.code == "mapping.no_identity"


def test_examples_hold_invented_people_only() -> None:
    for case in CASES:
        for file in case.glob("*.json"):
            words = file.read_text(encoding="utf-8").replace('"', " ").split()

            assert [w for w in words if "@" in w and not w.lower().endswith("@example.com")] == []


@pytest.mark.parametrize("name", FOLDER.events)
def test_the_avro_schema_says_where_it_goes_and_is_right(name: str) -> None:
    event = FOLDER.events[name]

    assert {target: said["mapping"] for target, said in event.xdm.items()} == {
        target: file.name for target, file in event.mapping_files.items()
    }
    for said in event.xdm.values():
        schema = json.loads((DIRECTORY / said["schema"]).read_text(encoding="utf-8"))
        assert schema["meta:class"] == said["class"]


def properties_of(schema: Any, path: str = "") -> Iterable[str]:
    """Every path that a schema has, with a dot before a field and ``[]`` for elements."""
    for name, inside in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from properties_of(inside, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]"
        yield from properties_of(schema["items"], f"{path}[]")


@pytest.mark.parametrize("name", FOLDER.events)
def test_every_destination_of_our_mapping_sets_is_in_our_xdm_schema(name: str) -> None:
    for target, file in FOLDER.events[name].mapping_files.items():
        schema = json.loads((DIRECTORY / "xdm" / f"{target}.json").read_text(encoding="utf-8"))
        known = set(properties_of(schema))
        rows = json.loads(file.read_text(encoding="utf-8"))["mappings"]
        wanted = {"." + r["destination"].replace("[*]", "[]").replace("[0]", "[]") for r in rows}

        assert wanted - known == set()


@pytest.mark.parametrize("target", TARGETS)
def test_our_xdm_schemas_say_what_they_are(target: str) -> None:
    schema = json.loads((DIRECTORY / "xdm" / f"{target}.json").read_text(encoding="utf-8"))

    assert schema["title"]
    assert schema["$id"].startswith("https://ns.adobe.com/")
    assert schema["meta:class"] in schema["meta:intendedToExtend"]
    assert schema.get("required", []) == (["_id", "timestamp"] if target == "event" else [])


def test_output_is_the_same_in_every_zone_and_locale_of_the_host(run_cli: Any) -> None:
    file = DIRECTORY / "transactionAdded" / "examples" / "return" / "input.json"

    said = {
        run_cli("map", file, "--json", env={**os.environ, "TZ": zone, "LC_ALL": locale}).stdout
        for zone, locale in [("UTC", "C.UTF-8"), ("Asia/Kolkata", "C"), ("America/Lima", "POSIX")]
    }

    assert len(said) == 1
    assert '"outcome":"mapped"' in said.pop()
