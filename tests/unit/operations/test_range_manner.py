"""How a range is sent: where to, under which names, how fast."""

from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.operations.replays.ranges.manner import (
    Manner,
    elsewhere,
    manner_of,
    names_of,
    read_manner,
    require_topic_names,
    settings_of,
    warnings_of,
)
from processor.settings import Settings

TARGET = {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}


def settings(letters: str = "{topic}.dlq", **platform: Any) -> Settings:
    given = {
        "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
        "tenant": "t",
        "targets": {"event": {**TARGET, "ordering": "none"}, "loyalty": TARGET},
    }
    return Settings.model_validate(
        {
            "name": "c",
            "kafka": {"bootstrap_servers": "b:1"},
            "ims": {"client_id": "c"},
            "errors": {"deadletterqueue_topic_name": letters},
            "experience_platform": {**given, **platform},
        }
    )


def manner(**given: Any) -> Manner:
    plain: dict[str, Any] = {
        "rate": None, "targets": [], "allow_stale": False, "id_label": None, "overridden": False,
    }  # fmt: skip
    return manner_of(settings(), **{**plain, **given})


@pytest.mark.parametrize(
    "given", [{}, {"rate": 7.5, "targets": ["loyalty"], "id_label": "a.b-c_1", "overridden": True}]
)
def test_a_manner_is_read_as_it_was_written(given: dict[str, Any]) -> None:
    made = manner(**given)

    assert read_manner(made.document()) == made


@pytest.mark.parametrize(
    "given",
    [
        {"rate": 0.0}, {"rate": -1.0}, {"rate": float("nan")}, {"rate": 10_001.0},
        {"targets": ["event", "gone"]},
        {"id_label": ""}, {"id_label": "a b"}, {"id_label": "x" * 65}, {"id_label": "a\nb"},
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        manner(**given)


def test_only_the_targets_that_were_named_are_left() -> None:
    chosen = manner(targets=["loyalty"])

    assert list(settings_of(settings(), chosen).experience_platform.targets) == ["loyalty"]
    assert settings_of(settings(), manner()) == settings()


def test_what_fails_of_a_plain_replay_is_the_connector_s_own() -> None:
    names = names_of(settings(), manner(targets=["loyalty"]), "r1")

    assert (names.connector, names.dead_letter_topic("t"), names.replay_id) == ("c", "t.dlq", "r1")
    assert names.targets == ("loyalty",)


@pytest.mark.parametrize("given", [{"overridden": True}, {"id_label": "again"}])
@pytest.mark.parametrize(
    ("letters", "topic"), [("{topic}.dlq", "t.replay-r1.dlq"), ("of-{name}", "of-c")]
)
def test_what_fails_elsewhere_or_under_fresh_ids_is_nobody_s_to_replay(
    letters: str, topic: str, given: dict[str, Any]
) -> None:
    names = names_of(settings(letters), manner(**given), "r1")

    assert names.connector == "c-replay-r1"
    assert names.dead_letter_topic("t") == topic
    assert settings(letters).is_own_topic(topic), "the connector never consumes it"
    said = " ".join(warnings_of(manner(**given), names, ["t"]))
    assert topic in said
    assert "c-replay-r1" in said


def test_a_topic_name_that_kafka_does_not_take_is_refused_before() -> None:
    names = names_of(settings(), manner(id_label="again"), "20260131t120000-9f3a")

    require_topic_names(names, ["t" * 200])
    with pytest.raises(Misconfigured, match="too long"):
        require_topic_names(names, ["t" * 230])


def test_another_place_is_known_by_what_it_is_and_not_by_its_secrets() -> None:
    place = elsewhere(settings())

    assert place.where == (
        "sandbox prod of 0A7D42FC5DB9D3360A495FD3@AdobeOrg at https://dcs.adobedc.net"
    )
    assert elsewhere(settings(proxy="http://user:other@proxy:1")) == place
    other_inlet = {"event": {**TARGET, "inlet_id": "other"}}
    assert elsewhere(settings(targets=other_inlet)).digest != place.digest
    assert elsewhere(settings(sandbox_name="trial")).digest != place.digest


def test_doubles_are_warned_of_only_where_there_are_some() -> None:
    fresh, plain = manner(id_label="again"), manner()

    assert any("twice" in text for text in warnings_of(fresh, names_of(settings(), fresh, "r"), []))
    assert list(warnings_of(plain, names_of(settings(), plain, "r"), ["t"])) == []
