"""The message around an entity: which organisation, dataset, schema and dataflow it is for."""

from collections.abc import Sequence
from typing import Any

import orjson

from processor.errors import Misconfigured
from processor.settings.models import ExperiencePlatformSettings, TargetSettings

CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
SOURCE_NAME = "Capillary"

_BODY_START = b'{"messages":['
_BODY_END = b"]}"


class Envelope:
    """Wraps the entities of one target, and joins messages into a request.

    Everything but the entity is constant, so it is encoded once. There is no ``createdAt``: the
    same event gives the same bytes at every delivery.

    Attributes:
        overhead_bytes: what :meth:`wrap` adds to an entity.

    Raises:
        Misconfigured: ``operation = "merge"`` without a ``flow_id``, or with an
            ``identity_dataset_id`` that is the target's own dataset.

    Source: domain facts 3.2 (XDM message) and 3.3 (upsert form).
    """

    def __init__(self, platform: ExperiencePlatformSettings, target: TargetSettings) -> None:
        if target.operation == "merge":
            self._start, self._end = _merge_form(platform, target)
        else:
            self._start, self._end = _create_form(platform, target)
        self.overhead_bytes = len(self._start) + len(self._end)

    def wrap(self, entity_json: bytes) -> bytes:
        """The complete message ``{"header": …, "body": …}`` around an entity's UTF-8 JSON."""
        return self._start + entity_json + self._end

    def join(self, messages: Sequence[bytes]) -> bytes:
        """The body of a batch request: ``{"messages": […]}``, in the order given."""
        return _BODY_START + b",".join(messages) + _BODY_END


def _create_form(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> tuple[bytes, bytes]:
    schema_ref = {"id": target.schema_id, "contentType": CONTENT_TYPE}
    header: dict[str, Any] = {
        "schemaRef": schema_ref,
        "imsOrgId": platform.org_id,
        "datasetId": target.dataset_id,
    }
    if target.flow_id:
        header["flowId"] = target.flow_id
    header["source"] = {"name": SOURCE_NAME}
    meta = orjson.dumps({"schemaRef": schema_ref})
    start = b'{"header":' + orjson.dumps(header) + b',"body":{"xdmMeta":' + meta + b',"xdmEntity":'
    return start, b"}}"


def _merge_form(
    platform: ExperiencePlatformSettings, target: TargetSettings
) -> tuple[bytes, bytes]:
    """Adobe's upsert form: the dataflow maps the body, so it is the bare entity."""
    if not target.flow_id:
        raise Misconfigured(
            f"The target of dataset {target.dataset_id} merges, but has no flow_id.",
            mend="Set flow_id to the dataflow of the raw connection that carries the mapping.",
        )
    if target.identity_dataset_id == target.dataset_id:
        raise Misconfigured(
            f"The target of dataset {target.dataset_id} names itself as identity_dataset_id.",
            mend="Name another dataset of the same schema that is not enabled for Profile.",
        )
    operations = {"data": "merge"}
    if target.identity_dataset_id:
        operations |= {
            "identity": "create",
            "identityDatasetId": target.identity_dataset_id,
        }
    header = {
        "flowId": target.flow_id,
        "imsOrgId": platform.org_id,
        "datasetId": target.dataset_id,
        "operations": operations,
    }
    return b'{"header":' + orjson.dumps(header) + b',"body":', b"}"
