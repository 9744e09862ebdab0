import json

import pytest

from processor.errors import Misconfigured
from processor.experience_platform.envelope import Envelope
from processor.settings.models import ExperiencePlatformSettings, TargetSettings

ENTITY = b'{"_id":"1"}'


def test_a_message_names_organisation_dataset_schema_and_dataflow(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> None:
    schema_ref = {
        "id": "https://ns.adobe.com/acme/schemas/events",
        "contentType": "application/vnd.adobe.xed-full+json;version=1",
    }

    message = Envelope(platform, target).wrap(ENTITY)

    assert json.loads(message) == {
        "header": {
            "schemaRef": schema_ref,
            "imsOrgId": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "datasetId": "5e8a7f",
            "flowId": "0c1f-22",
            "source": {"name": "Capillary"},
        },
        "body": {"xdmMeta": {"schemaRef": schema_ref}, "xdmEntity": {"_id": "1"}},
    }


def test_a_target_without_dataflow_sends_no_flow_id(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> None:
    envelope = Envelope(platform, target.model_copy(update={"flow_id": ""}))

    message = json.loads(envelope.wrap(ENTITY))

    assert "flowId" not in message["header"]


def test_a_merge_sends_the_bare_entity_in_the_upsert_form(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> None:
    merging = target.model_copy(update={"operation": "merge", "identity_dataset_id": "6f9b"})

    message = Envelope(platform, merging).wrap(ENTITY)

    assert json.loads(message) == {
        "header": {
            "flowId": "0c1f-22",
            "imsOrgId": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "datasetId": "5e8a7f",
            "operations": {"data": "merge", "identity": "create", "identityDatasetId": "6f9b"},
        },
        "body": {"_id": "1"},
    }


def test_a_merge_without_identity_dataset_creates_no_identities(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> None:
    envelope = Envelope(platform, target.model_copy(update={"operation": "merge"}))

    message = json.loads(envelope.wrap(ENTITY))

    assert message["header"]["operations"] == {"data": "merge"}


@pytest.mark.parametrize(
    "changes", [{"flow_id": ""}, {"identity_dataset_id": "5e8a7f"}], ids=["no flow", "own dataset"]
)
def test_a_merge_that_cannot_work_is_refused_at_start(
    platform: ExperiencePlatformSettings, target: TargetSettings, changes: dict[str, str]
) -> None:
    merging = target.model_copy(update={"operation": "merge", **changes})

    with pytest.raises(Misconfigured):
        Envelope(platform, merging)


@pytest.mark.parametrize("operation", ["create", "merge"])
def test_the_overhead_is_what_wrapping_adds(
    platform: ExperiencePlatformSettings, target: TargetSettings, operation: str
) -> None:
    envelope = Envelope(platform, target.model_copy(update={"operation": operation}))

    message = envelope.wrap(ENTITY)

    assert len(message) == len(ENTITY) + envelope.overhead_bytes
    assert message == envelope.wrap(ENTITY)


def test_messages_are_joined_in_order(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> None:
    envelope = Envelope(platform, target)

    body = envelope.join([b'{"a":1}', b'{"a":2}'])

    assert json.loads(body) == {"messages": [{"a": 1}, {"a": 2}]}
    assert json.loads(envelope.join([])) == {"messages": []}
