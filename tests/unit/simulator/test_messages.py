"""How one message is judged: header, organisation, schema, body, and what Profile drops."""

from pathlib import Path
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.settings.models import ExperiencePlatformSettings
from processor.simulator.messages import mark_of
from processor.simulator.options import Inlet, SimulatorOptions

ORG = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
EVENT_ID = "https://ns.adobe.com/acme/schemas/small-event"
FORMAT = "Message has unknown xdm format"
WRONG_ORG = "Message has an absent or wrong ims org in the header"


def changed(message: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *parents, last = path.split(".")
    node = message
    for name in parents:
        node = node[name]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return message


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("header", ..., "The 'header' field is mandatory."),
        ("header", "x", "The 'header' field is mandatory."),
        ("header.datasetId", ..., "The 'datasetId' field is mandatory."),
        ("header.datasetId", 5, "The 'datasetId' field is mandatory."),
        ("header.imsOrgId", ..., WRONG_ORG),
        ("header.imsOrgId", "ACME", WRONG_ORG),
        ("header.imsOrgId", None, WRONG_ORG),
        ("header.schemaRef", ..., FORMAT),
        ("header.schemaRef", "x", FORMAT),
        ("header.schemaRef.id", "", FORMAT),
        ("header.schemaRef.contentType", "application/json", FORMAT),
        ("body", ..., "The 'body' field is mandatory."),
        ("body", [], "The 'body' field is mandatory."),
        ("body.xdmMeta", ..., FORMAT),
        ("body.xdmMeta.schemaRef", {"id": "other", "contentType": "x"}, FORMAT),
        ("body.xdmEntity", ..., "Payload body is missing xdmEntity"),
        ("body.xdmEntity", [], "Payload body is missing xdmEntity"),
    ],
)
async def test_an_envelope_that_is_not_whole_is_refused(
    simulate: Any, event: Any, path: str, value: object, sentence: str
) -> None:
    simulation = await simulate()

    answer = await simulation.batch(changed(event(), path, value))

    (entry,) = answer.json()["responses"]
    assert entry["statusCode"] == 400
    assert sentence in entry["message"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.adobe.xed-full+json;version=1",
        "application/vnd.adobe.xed-full+json;version=1.0",
        "application/vnd.adobe.xed-full-notext+json; version=1.0",
        "application/vnd.adobe.xed+json;1",
    ],
)
async def test_documented_content_types_pass(simulate: Any, event: Any, content_type: str) -> None:
    simulation = await simulate()

    answer = await simulation.batch(changed(event(), "header.schemaRef.contentType", content_type))

    assert "xactionId" in answer.json()["responses"][0]


async def test_schemas_of_header_and_body_have_to_agree(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    message = event()
    reference = {**message["body"]["xdmMeta"]["schemaRef"], "id": EVENT_ID + "-other"}

    answer = await simulation.batch(changed(message, "body.xdmMeta.schemaRef", reference))

    assert FORMAT in answer.json()["responses"][0]["message"]


async def test_an_absent_org_is_filled_in_when_the_inlets_is_known(
    simulate: Any, event: Any
) -> None:
    simulation = await simulate(org_id=ORG)

    answer = await simulation.batch(changed(event(), "header.imsOrgId", ...))

    assert "xactionId" in answer.json()["responses"][0]


class TestConfiguredInlets:
    INLET = Inlet("evt", "event", schema_id=EVENT_ID, dataset_id="events", org_id=ORG)

    async def test_only_these_exist(self, simulate: Any, event: Any) -> None:
        simulation = await simulate(inlets=[self.INLET])

        answers = [await simulation.batch(event(), inlet=name) for name in ("evt", "other")]

        assert [answer.status_code for answer in answers] == [207, 404]

    @pytest.mark.parametrize(
        ("path", "value"),
        [("header.datasetId", "other"), ("header.imsOrgId", "A" * 24 + "@AdobeOrg")],
    )
    async def test_what_they_know_has_to_match(
        self, simulate: Any, event: Any, path: str, value: str
    ) -> None:
        simulation = await simulate(inlets=[self.INLET])

        answer = await simulation.batch(changed(event(), path, value))

        assert answer.json()["responses"][0]["statusCode"] == 400

    async def test_another_schema_is_an_unknown_format(self, simulate: Any, loyalty: Any) -> None:
        simulation = await simulate(inlets=[self.INLET])

        answer = await simulation.batch(loyalty(points=1))

        assert FORMAT in answer.json()["responses"][0]["message"]

    async def test_a_flow_that_is_not_the_inlets_is_refused(
        self, simulate: Any, event: Any
    ) -> None:
        inlet = Inlet("evt", "event", flow_id="flow")
        simulation = await simulate(inlets=[inlet])

        right = await simulation.batch(event())
        wrong = await simulation.batch(changed(event(), "header.flowId", "elsewhere"))

        assert "xactionId" in right.json()["responses"][0]
        assert wrong.json()["responses"][0]["statusCode"] == 400

    async def test_they_can_be_those_of_a_connector(
        self, simulate: Any, event: Any, loyalty: Any, schemas_directory: Path
    ) -> None:
        platform = ExperiencePlatformSettings.model_validate(
            {
                "org_id": ORG,
                "tenant": "acme",
                "targets": {
                    "event": {"inlet_id": "a", "dataset_id": "events", "schema_id": EVENT_ID},
                    "points": {
                        "inlet_id": "b",
                        "dataset_id": "balances",
                        "schema_id": "https://ns.adobe.com/acme/schemas/small-loyalty",
                        "xdm_schema": str(schemas_directory / "loyalty.json"),
                    },
                },
            }
        )
        options = SimulatorOptions.for_platform(platform, schemas_directory=schemas_directory)
        simulation = await simulate(
            inlets=options.inlets, org_id=options.org_id, tenant=options.tenant
        )

        answers = [
            await simulation.batch(event(_acme={"note": "x"}), inlet="a"),
            await simulation.batch(event(_other={"note": "x"}), inlet="a"),
            await simulation.batch(loyalty(points=1), inlet="b"),
        ]

        assert ["xactionId" in answer.json()["responses"][0] for answer in answers] == [
            True,
            False,
            True,
        ]

    async def test_a_schema_that_is_not_there_is_said_at_start(self, simulate: Any) -> None:
        with pytest.raises(Misconfigured, match="no XDM schema 'tier'"):
            await simulate(inlets=[Inlet("t", "tier")])


async def test_one_inlet_can_serve_two_schemas(simulate: Any, event: Any, loyalty: Any) -> None:
    inlets = [
        Inlet("both", "event", dataset_id="events", target="event"),
        Inlet("both", "loyalty", dataset_id="balances", target="loyalty"),
    ]
    simulation = await simulate(inlets=inlets)

    await simulation.batch(event(), loyalty(points=1), inlet="both")

    received = await simulation.see("received")
    assert [entry["target"] for entry in received] == ["event", "loyalty"]


class TestUpserts:
    async def test_a_partial_row_is_merged(self, simulate: Any, loyalty: Any, merge: Any) -> None:
        simulation = await simulate()
        await simulation.batch(loyalty(points=100, tier="gold"))

        answer = await simulation.batch(merge(points=120), inlet="loyalty")

        (profile,) = await simulation.see("profiles")
        assert "xactionId" in answer.json()["responses"][0]
        assert profile["entity"]["loyalty"] == {"points": 120, "tier": "gold"}
        assert profile["identity"] == "CapillaryCustomerId:7"

    async def test_a_profile_can_be_deleted(self, simulate: Any, loyalty: Any, merge: Any) -> None:
        simulation = await simulate()
        await simulation.batch(loyalty(points=100))

        await simulation.batch(merge(data="delete"), inlet="loyalty")

        assert await simulation.see("profiles") == []

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("header.operations.data", "replace"),
            ("header.operations.identity", "update"),
            ("header.operations.identityDatasetId", "balances"),
            ("header.operations.identityDatasetId", ...),
            ("header.operations.extra", 1),
            ("header.operations", []),
            ("header.flowId", ...),
            ("header.datasetId", ...),
        ],
    )
    async def test_what_the_page_does_not_list_is_refused(
        self, simulate: Any, merge: Any, path: str, value: object
    ) -> None:
        simulation = await simulate()

        answer = await simulation.batch(changed(merge(points=1), path, value), inlet="loyalty")

        assert answer.json()["responses"][0]["statusCode"] == 400

    async def test_a_flow_id_may_stand_in_the_request(self, simulate: Any, merge: Any) -> None:
        simulation = await simulate()

        answer = await simulation.batch(
            changed(merge(points=1), "header.flowId", ...),
            inlet="loyalty",
            **{"x-adobe-flow-id": "flow"},
        )

        assert "xactionId" in answer.json()["responses"][0]

    async def test_events_cannot_be_merged(self, simulate: Any, event: Any) -> None:
        simulation = await simulate()
        message = changed(event(), "header.operations", {"data": "merge"})

        answer = await simulation.batch(message)

        assert "Only profile records" in answer.json()["responses"][0]["message"]


class TestWhatProfileDrops:
    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({}, None),
            ({"timestamp": "2027-01-01T00:00:00Z"}, "timestamp_in_the_future"),
            ({"timestamp": "2026-01-01T05:30:30+05:30"}, None),
            ({"identityMap": {}}, "no_identity"),
            ({"identityMap": {"A": [{"id": "1"}]}}, "no_primary_identity"),
            ({"identityMap": {"A": [{"id": " ", "primary": True}]}}, "empty_identity"),
            ({"identityMap": {"A": []}}, "empty_identity"),
            (
                {"identityMap": {n: [{"id": "1", "primary": True}] for n in "AB"}},
                "several_primary_identities",
            ),
        ],
    )
    async def test_is_accepted_and_said(
        self, simulate: Any, event: Any, more: dict[str, Any], reason: str | None
    ) -> None:
        simulation = await simulate()

        answer = await simulation.batch(event(**more))

        (entry,) = await simulation.see("received")
        assert "xactionId" in answer.json()["responses"][0]
        assert entry["accepted"] is True
        assert entry["dropped_because"] == reason
        assert entry["dropped_by_profile"] is (reason is not None)

    async def test_namespaces_can_be_known(self, simulate: Any, event: Any) -> None:
        simulation = await simulate(namespaces=["CapillaryCustomerId"])

        await simulation.batch(event())

        (entry,) = await simulation.see("received")
        assert entry["dropped_because"] == "unknown_namespace"

    async def test_an_event_above_10_kb(self, simulate: Any, event: Any) -> None:
        simulation = await simulate()

        await simulation.batch(event("small"), event("large", _acme={"note": "x" * 10_000}))

        small, large = await simulation.see("received")
        assert small["dropped_because"] is None
        assert large["dropped_because"] == "event_too_large"

    async def test_a_record_above_100_kb(self, simulate: Any, loyalty: Any) -> None:
        simulation = await simulate()

        await simulation.batch(loyalty(tier="x" * 99_000), loyalty("8", tier="x" * 100_000))

        received = await simulation.see("received")
        assert [entry["dropped_because"] for entry in received] == [None, "record_too_large"]
        assert [profile["identity"] for profile in await simulation.see("profiles")] == [
            "CapillaryCustomerId:7"
        ]


async def test_an_invalid_identity_map_is_no_crash_in_asynchronous_mode(
    simulate: Any, event: Any
) -> None:
    simulation = await simulate(validation="async")

    await simulation.batch(event(identityMap={"A": 5}), event(identityMap={"A": [5]}))

    received = await simulation.see("received")
    assert [entry["failed"] for entry in received] == [True, True]


async def test_a_create_replaces_the_whole_record(simulate: Any, loyalty: Any) -> None:
    simulation = await simulate()

    await simulation.batch(loyalty(points=1, tier="gold"), loyalty(points=2))

    (profile,) = await simulation.see("profiles")
    assert profile["entity"]["loyalty"] == {"points": 2}
    assert profile["updates"] == 2


async def test_an_id_that_was_accepted_is_a_repeat_at_that_inlet(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    await simulation.batch(event("E1"), event("E2", eventType=5), event("E1"))
    await simulation.batch(event("E2"), event("E1"))
    await simulation.batch(event("E1"), inlet="other-event")

    received = await simulation.see("received")
    assert [(entry["_id"], entry["repeat"]) for entry in received] == [
        ("E1", False),
        ("E2", False),
        ("E1", True),
        ("E2", False),
        ("E1", True),
        ("E1", False),
    ]


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ({"_id": "E1"}, ("E1", None, "E1")),
        ({"_id": "E1", "_acme": {"eventId": "X"}}, ("E1", None, "X")),
        ({"_id": "E1", "_acme": {"loyaltyEvent": {"eventId": "X"}}}, ("E1", None, "X")),
        (
            {"_id": "4647d7b7-0000-4000-8000-40ff87f8a445-2"},
            (
                "4647d7b7-0000-4000-8000-40ff87f8a445-2",
                None,
                "4647d7b7-0000-4000-8000-40ff87f8a445",
            ),
        ),
        ({"_id": "a" * 64}, ("a" * 64, None, None)),
        ({"_id": "51_x:pointsIssued:17:38"}, ("51_x:pointsIssued:17:38", None, None)),
        ({"_id": 5}, (None, None, None)),
        ({"identityMap": {"A": [{"id": "1"}], "B": [{"id": "2"}]}}, (None, "A:1", None)),
        ({"identityMap": {"A": 1, "B": [None, {"id": "2"}]}}, (None, "B:2", None)),
        ({"identityMap": []}, (None, None, None)),
    ],
)
def test_what_a_message_is_recognised_by(
    entity: dict[str, Any], expected: tuple[str | None, ...]
) -> None:
    assert mark_of({"body": {"xdmEntity": entity}}) == expected


@pytest.mark.parametrize("message", [None, 5, [], {}, {"body": 5}, {"body": {"xdmEntity": 5}}])
def test_nothing_is_recognised_in_what_is_no_message(message: object) -> None:
    assert mark_of(message) == (None, None, None)


@pytest.mark.parametrize(
    "options",
    [
        {"client_id": "a"},
        {"client_id": "a", "client_secrets": ("1", "2", "3")},
        {"client_id": "a", "client_secrets": ("",)},
        {"client_secrets": ("1",)},
        {"token_lifetime_s": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        SimulatorOptions(**options)


def test_options_hide_their_secrets() -> None:
    options = SimulatorOptions(client_id="a", client_secrets=("s3cr3t",))

    assert "s3cr3t" not in repr(options)
