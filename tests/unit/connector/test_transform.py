from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson
import pytest

from processor.connector.passage import Parcel, Passage, Story
from processor.connector.transform import Newer, Route, Transform, encode
from processor.errors import Code, Refused
from processor.experience_platform.enrich import Enricher
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.gate import Gate
from processor.mapping.mapper import Mapped, Mapper
from processor.record import Event, Position, Record
from processor.settings.models import ExperiencePlatformSettings, TargetSettings

PLATFORM = ExperiencePlatformSettings(org_id=f"{'A' * 24}@AdobeOrg", tenant="acme")
CUSTOMER = {"customerIdentifiers": {"customerId": 42}}


class Rules:
    """Maps an event to the entities that its body lists for each target; ``None``: refused."""

    def targets_of(self, event_name: str) -> tuple[str, ...]:
        return ("event", "profile")

    def map(self, event: Event, target: str, timestamp_ms: int | None) -> list[Mapped]:
        listed = event.body[target]
        if listed is None:
            raise Refused("It does not map.", code=Code.MAPPING_EXPRESSION)
        return [Mapped(dict(entity), CUSTOMER) for entity in listed]


class Names:
    """Enrichment that numbers messages, and refuses an entity that has no identity."""

    def enrich(self, event: Event, mapped: Mapped, *, index: int, count: int) -> str:
        if "nobody" in mapped.entity:
            raise Refused("Nobody.", code=Code.MAPPING_NO_IDENTITY)
        mapped.entity["_id"] = f"id-{index}" if count > 1 else "id"
        return str(mapped.entity["_id"])


class Doorkeeper:
    """A gate that refuses an entity which says so."""

    def check(self, entity: Mapping[str, Any], encoded: bytes) -> None:
        assert orjson.loads(encoded) == entity
        if "wrong" in entity:
            raise Refused("It breaks a rule.", code=Code.GATE_VIOLATION)


def transform(*, newer: Newer | None = None, **ordering: Any) -> Transform:
    routes = {}
    for name in ("event", "profile"):
        target = TargetSettings(
            inlet_id=name,
            dataset_id=name,
            schema_id=name,
            ordering=cast("Any", ordering.get(name, "key")),
        )
        routes[name] = Route(target, cast("Gate", Doorkeeper()), Envelope(PLATFORM, target))
    return Transform(cast("Mapper", Rules()), cast("Enricher", Names()), routes, newer=newer)


def passage(key: bytes | None = b"key", only: frozenset[str] | None = None) -> Passage:
    story = None if only is None else Story("original", 3, 9, 1, only, 0)
    return Passage(Record("events", 0, 7, timestamp_ms=5, key=key), 1, story=story)


def carried(
    body: Mapping[str, Any], own: Passage | None = None, **ordering: Any
) -> tuple[list[Parcel], Passage]:
    own = own or passage()
    body = {"event": [], "profile": []} | dict(body)
    return transform(**ordering).parcels(own, Event("pointsIssued", body)), own


def test_an_event_becomes_a_message_for_each_of_its_targets() -> None:
    parcels, own = carried({"event": [{"a": 1}], "profile": [{"b": 2}]})

    assert [parcel.name for parcel in parcels] == ["event", "profile"]
    assert own.failures == []
    sent = orjson.loads(parcels[1].message.body)
    assert sent["body"]["xdmEntity"] == {"b": 2, "_id": "id"}


def test_old_news_is_left_out_of_what_holds_a_state_and_of_nothing_else() -> None:
    asked: list[tuple[str, bytes | None]] = []

    def newer(target: str, key: bytes | None) -> bool:
        asked.append((target, key))
        return key in {b"key", b"42", None}

    def left(key: bytes | None, **ordering: str) -> tuple[list[str], tuple[str, ...]]:
        story = Story("original", 3, 9, 1, frozenset(), 0, newer=newer)
        own = Passage(Record("events", 0, 7, timestamp_ms=5, key=key), 1, story=story)
        parcels, _ = carried({"event": [{}], "profile": [{}, {}]}, own, **ordering)
        return [parcel.name for parcel in parcels], own.stale

    assert left(b"key", event="none") == (["event"], ("profile",))
    assert left(b"key") == ([], ("event", "profile"))
    assert left(b"other") == (["event", "profile#0", "profile#1"], ())
    assert left(None, event="none") == (["event"], ("profile#0", "profile#1"))
    asked.clear()
    assert left(b"other", event="none", profile="partition") == (["event"], ("profile",))
    assert asked == [("profile", None)]


def test_one_target_s_failure_does_not_keep_the_others_back() -> None:
    parcels, own = carried({"event": None, "profile": [{"b": 2}]})

    assert [parcel.name for parcel in parcels] == ["profile"]
    assert [(failure.target, failure.error.code) for failure in own.failures] == [
        ("event", Code.MAPPING_EXPRESSION)
    ]


def test_of_several_messages_only_those_that_fail_are_noted_with_their_index() -> None:
    parcels, own = carried({"event": [{}, {"wrong": 1}, {"nobody": 1}, {}]})

    assert [parcel.name for parcel in parcels] == ["event#0", "event#3"]
    assert [(failure.target, failure.error.code) for failure in own.failures] == [
        ("event#1", Code.GATE_VIOLATION),
        ("event#2", Code.MAPPING_NO_IDENTITY),
    ]


@pytest.mark.parametrize(
    ("only", "sent"),
    [
        ({"profile"}, ["profile"]),
        ({"event#1"}, ["event#1"]),
        ({"event"}, ["event#0", "event#1"]),
        ({"event#0", "profile"}, ["event#0", "profile"]),
        (set(), ["event#0", "event#1", "profile"]),
        ({"gone"}, []),
    ],
)
def test_a_replay_makes_again_only_what_had_failed(only: set[str], sent: list[str]) -> None:
    parcels, own = carried({"event": [{}, {}], "profile": [{}]}, passage(only=frozenset(only)))

    assert [parcel.name for parcel in parcels] == sent
    assert own.failures == []


def test_what_is_one_message_now_is_replayed_whatever_its_number_was() -> None:
    parcels, _ = carried({"event": [{}]}, passage(only=frozenset({"event#2"})))

    assert [parcel.name for parcel in parcels] == ["event"]


def test_old_news_is_made_for_no_target_that_holds_a_state() -> None:
    asked = []

    def newer(source: Position, target: str, key: bytes | None) -> bool:
        asked.append((str(source), target, key))
        return key in {b"old", b"42", None}

    def sent(own: Passage, **ordering: Any) -> tuple[list[str], tuple[str, ...]]:
        made = transform(newer=newer, event="none", **ordering)
        body: dict[str, Any] = {"event": [{}], "profile": [{}]}
        parcels = made.parcels(own, Event("pointsIssued", body))
        assert own.failures == []
        return [parcel.name for parcel in parcels], own.stale

    assert sent(passage(b"old")) == (["event"], ("profile",))
    assert sent(passage(b"fresh")) == (["event", "profile"], ())
    assert sent(passage(None)) == (["event"], ("profile",)), "by its customer"
    assert sent(passage(b"fresh"), profile="partition") == (["event"], ("profile",))
    assert set(asked) == {("events-0@7", "profile", key) for key in (b"old", b"fresh", b"42", None)}


def order_keys(own: Passage, **ordering: str) -> list[bytes | None]:
    parcels, _ = carried({"event": [{}], "profile": [{}]}, own, **ordering)
    return [parcel.message.order_key for parcel in parcels]


def test_order_is_the_record_s_key_or_its_partition_or_none() -> None:
    key, none = order_keys(passage(), profile="none")
    partition, _ = order_keys(passage(), event="partition")

    assert key == b"events\x000\x00key"
    assert none is None
    assert partition == b"events\x000\x00"


def test_a_record_without_a_key_is_ordered_by_its_customer() -> None:
    key, _ = order_keys(passage(key=None))

    assert key == b"events\x000\x0042"


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800"])
def test_what_json_has_no_place_for_is_the_record_s_fault(
    value: object, record: Callable[..., Record]
) -> None:
    with pytest.raises(Refused) as caught:
        encode({"a": value})

    assert caught.value.code is Code.MAPPING_TYPE
    assert str(value) not in str(caught.value)
