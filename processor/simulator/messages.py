"""One message, judged as an inlet judges it: header, organisation, schema, body, XDM, limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeGuard

import orjson

from processor.simulator.options import Inlet, SimulatorOptions
from processor.simulator.violations import Finding, streaming_validation
from processor.simulator.xdm import XdmSchema, XdmSchemas

_ORG = re.compile(r"[0-9A-Za-z]{24}@AdobeOrg", re.ASCII)
_CONTENT_TYPE = re.compile(
    r"application/vnd\.adobe\.xed(-full)?(-notext|-desc)?\+json; ?(version=)?\d+(\.\d+)?", re.ASCII
)
_UUID_WITH_INDEX = re.compile(
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+", re.IGNORECASE | re.ASCII
)
_DERIVED_ID = re.compile(r"[0-9a-f]{64}(-\d+)?|.+:[A-Za-z]+:\d+:\d+(-\d+)?", re.ASCII)

MANDATORY = "The '{0}' field is mandatory. Provide a valid '{0}' value and try again."
"""Source: issue 62 of Adobe's sink connector, and its test data."""
UNKNOWN_FORMAT = "Message has unknown xdm format"
WRONG_ORG = "Message has an absent or wrong ims org in the header"
INVALID = "Message is invalid"

SKEW = timedelta(seconds=60)
"""How far ahead of ours a sender's clock may be before its timestamps count as future."""


class Mark(NamedTuple):
    """By what a message is recognised.

    Attributes:
        id: the entity's ``_id``.
        identity: ``NS:id`` of the primary identity, else of the first.
        event_id: Capillary's event id: an ``eventId`` among the tenant's fields, else the ``_id``
            where that is one (an index after a UUID is taken off; ids derived from other fields
            count as none).
    """

    id: str | None = None
    identity: str | None = None
    event_id: str | None = None


@dataclass(slots=True)
class Judgement:
    """What became of one message.

    Attributes:
        status: 200 when accepted, else the HTTP status of the refusal.
        message: Adobe's sentence about a refusal.
        cause: the XDM violations of a refusal, or of a message that fails after acceptance.
        dropped_because: why Profile drops an accepted message without a word; `None`: it does not.
        time_series: whether the schema is of the ExperienceEvent class.
    """

    mark: Mark
    status: int = 200
    message: str = ""
    cause: list[Finding] = field(default_factory=list)
    target: str = ""
    operation: str = "create"
    dataset_id: str = ""
    entity: Mapping[str, Any] = field(default_factory=dict, repr=False)
    time_series: bool = False
    dropped_because: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the inlet took the message."""
        return self.status < 400  # noqa: PLR2004  HTTP's own border

    @property
    def failed(self) -> bool:
        """Whether the message was accepted and found invalid afterwards."""
        return self.accepted and bool(self.cause)

    @property
    def streaming_validation(self) -> list[Finding]:
        """The violations in the nesting that Adobe answers."""
        return streaming_validation(self.cause)


class _Refusal(Exception):
    def __init__(self, message: str, cause: list[Finding] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause or []


class Inlets:
    """The inlets there are, and the judgement of a message at one of them."""

    def __init__(self, options: SimulatorOptions, schemas: XdmSchemas) -> None:
        self._options = options
        self._schemas = schemas
        self._known: dict[str, list[tuple[Inlet, XdmSchema]]] = {}
        for inlet in options.inlets:
            entry = inlet, schemas.named(inlet.schema)
            self._known.setdefault(inlet.inlet_id, []).append(entry)

    def exists(self, inlet_id: str) -> bool:
        """Whether there is such an inlet; without configured inlets every one exists."""
        return not self._known or inlet_id in self._known

    def org_of(self, inlet_id: str) -> str | None:
        """The organisation of an inlet; `None` when any will do."""
        known = self._known.get(inlet_id)
        return (known[0][0].org_id if known else None) or self._options.org_id

    def judge(
        self,
        inlet_id: str,
        message: object,
        mark: Mark,
        *,
        size_bytes: int,
        now: datetime,
        synchronous: bool,
        flow_id: str | None,
    ) -> Judgement:
        """Judge one message.

        Args:
            inlet_id: an inlet that exists.
            message: the decoded message.
            mark: as :func:`mark_of` gives it.
            size_bytes: of the message as JSON; the entity is measured only when this is large.
            now: the current time, in UTC.
            synchronous: `True`: an XDM violation refuses; `False`: it is found after acceptance.
            flow_id: the request's ``x-adobe-flow-id``, which may stand for ``header.flowId``.
        """
        judgement = Judgement(mark)
        try:
            self._judge(inlet_id, message, judgement, flow_id, synchronous=synchronous)
        except _Refusal as refusal:
            judgement.status = 400
            judgement.message = refusal.message
            judgement.cause = refusal.cause
        else:
            judgement.dropped_because = self._why_dropped(judgement, size_bytes, now)
        return judgement

    def _judge(
        self,
        inlet_id: str,
        message: object,
        judgement: Judgement,
        flow_id: str | None,
        *,
        synchronous: bool,
    ) -> None:
        org_id = self.org_of(inlet_id)
        if not isinstance(message, dict):
            raise _Refusal(_about(inlet_id, org_id, UNKNOWN_FORMAT))
        header, body = _object(message, "header"), message.get("body")
        stated = header.get("imsOrgId", org_id)
        if not _is_org(stated) or (org_id is not None and stated != org_id):
            raise _Refusal(_about(inlet_id, org_id, WRONG_ORG))
        judgement.dataset_id = _text(header, "datasetId")
        operation = _operation(header, flow_id)
        body = _object(message, "body")
        upsert = operation is not None and "xdmEntity" not in body
        judgement.operation = operation or "create"
        schema_id = _schema_id(header, body, required=not upsert)
        if schema_id is None:
            raise _Refusal(_about(inlet_id, org_id, UNKNOWN_FORMAT))
        entity = body if upsert else body.get("xdmEntity")
        if not isinstance(entity, dict):
            raise _Refusal("Payload body is missing xdmEntity")
        judgement.entity = entity
        flow_id = header.get("flowId") or flow_id
        candidates = self._candidates(inlet_id, schema_id, judgement.dataset_id, flow_id, entity)
        if not candidates:
            raise _Refusal(_about(inlet_id, org_id, UNKNOWN_FORMAT))
        schema, findings = self._validated(candidates, entity)
        judgement.target, judgement.time_series = schema.name, schema.time_series
        if operation is not None and operation != "create" and schema.time_series:
            raise _Refusal(_about(inlet_id, org_id, "Only profile records can be upserted"))
        if findings and synchronous:
            raise _Refusal(_about(inlet_id, org_id, INVALID), findings)
        judgement.cause = findings

    def _candidates(
        self,
        inlet_id: str,
        schema_id: str,
        dataset_id: str,
        flow_id: str | None,
        entity: Mapping[str, Any],
    ) -> tuple[XdmSchema, ...]:
        if not self._known:
            return self._schemas.candidates(inlet_id, schema_id, entity)
        return tuple(
            schema
            for inlet, schema in self._known[inlet_id]
            if (not schema_id or inlet.schema_id in {None, schema_id})
            and inlet.dataset_id in {None, dataset_id}
            and (not flow_id or inlet.flow_id in {None, flow_id})
        )[:1]

    def _validated(
        self, candidates: Sequence[XdmSchema], entity: Mapping[str, Any]
    ) -> tuple[XdmSchema, list[Finding]]:
        """The first schema that the entity fits, else the one that it misses least."""
        tenant = self._options.tenant
        best: tuple[XdmSchema, list[Finding]] | None = None
        for schema in candidates:
            findings = schema.violations(entity, tenant=tenant)
            if best is None or len(findings) < len(best[1]):
                best = schema, findings
            if not findings:
                break
        if best is None:
            raise ValueError("there has to be a schema to validate by")
        return best

    def _why_dropped(self, judgement: Judgement, size_bytes: int, now: datetime) -> str | None:
        entity, options = judgement.entity, self._options
        limit = options.event_limit_bytes if judgement.time_series else options.record_limit_bytes
        if size_bytes > limit and len(orjson.dumps(entity)) > limit:
            return "event_too_large" if judgement.time_series else "record_too_large"
        if judgement.time_series and _is_future(entity.get("timestamp"), now):
            return "timestamp_in_the_future"
        return _identity_fault(entity.get("identityMap"), options.namespaces)


def mark_of(message: object) -> Mark:
    """By what a message can be recognised; never raises, whatever the message is."""
    body = message.get("body") if isinstance(message, dict) else None
    if not isinstance(body, dict):
        return Mark()
    entity = body.get("xdmEntity", body)
    if not isinstance(entity, dict):
        return Mark()
    found = entity.get("_id")
    entity_id = found if isinstance(found, str) else None
    return Mark(entity_id, _identity(entity.get("identityMap")), _event_id(entity, entity_id))


def _identity(identity_map: object) -> str | None:
    first = None
    if isinstance(identity_map, dict):
        for namespace, items in identity_map.items():
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and "id" in item:
                    name = f"{namespace}:{item['id']}"
                    if item.get("primary") is True:
                        return name
                    first = first or name
    return first


def _event_id(entity: Mapping[str, Any], entity_id: str | None) -> str | None:
    for name, value in entity.items():
        if name.startswith("_") and isinstance(value, dict):
            below = [inner for inner in value.values() if isinstance(inner, dict)]
            for place in (value, *below):
                found = place.get("eventId")
                if isinstance(found, str):
                    return found
    if entity_id is None or _DERIVED_ID.fullmatch(entity_id):
        return None
    indexed = _UUID_WITH_INDEX.fullmatch(entity_id)
    return indexed[1] if indexed else entity_id


def _identity_fault(identity_map: object, namespaces: Sequence[str]) -> str | None:
    if not isinstance(identity_map, dict) or not identity_map:
        return "no_identity"
    primaries = 0
    for namespace, items in identity_map.items():
        if namespaces and namespace not in namespaces:
            return "unknown_namespace"
        for item in items if isinstance(items, list) and items else (None,):
            if not isinstance(item, dict) or not str(item.get("id") or "").strip():
                return "empty_identity"
            primaries += item.get("primary") is True
    if primaries == 1:
        return None
    return "several_primary_identities" if primaries else "no_primary_identity"


def _is_future(timestamp: object, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(str(timestamp))
    except ValueError:
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) > now + SKEW


def _is_org(value: object) -> bool:
    return isinstance(value, str) and _ORG.fullmatch(value) is not None


def _about(inlet_id: str, org_id: str | None, sentence: str) -> str:
    return f"inletId: [{inlet_id}] imsOrgId: [{org_id or ''}] {sentence}"


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise _Refusal(MANDATORY.format(name))
    return value


def _text(parent: Mapping[str, Any], name: str) -> str:
    value = parent.get(name)
    if not isinstance(value, str) or not value:
        raise _Refusal(MANDATORY.format(name))
    return value


def _operation(header: Mapping[str, Any], flow_id: str | None) -> str | None:
    """The upsert operation of a header, `None` without one.

    Source: Experience League, "Send partial row updates to Profile" (``data-prep/upserts.md``).
    """
    if "operations" not in header:
        return None
    operations = _object(header, "operations")
    data = operations.get("data", "create")
    unknown = operations.keys() - {"data", "identity", "identityDatasetId"}
    if data not in {"create", "merge", "delete"} or unknown:
        raise _Refusal(MANDATORY.format("operations.data"))
    if not flow_id:
        _text(header, "flowId")
    if "identity" in operations:
        if operations["identity"] != "create":
            raise _Refusal(MANDATORY.format("operations.identity"))
        if _text(operations, "identityDatasetId") == header.get("datasetId"):
            raise _Refusal("The identityDatasetId has to differ from the datasetId.")
    return str(data)


def _schema_id(header: Mapping[str, Any], body: Mapping[str, Any], *, required: bool) -> str | None:
    """The id that header and body agree on; ``""`` when none is needed; `None`: not usable."""
    in_header = header.get("schemaRef")
    if in_header is None and not required:
        return ""
    if not _is_reference(in_header):
        return None
    if required:
        meta = body.get("xdmMeta")
        in_body = meta.get("schemaRef") if isinstance(meta, dict) else None
        if not _is_reference(in_body) or in_body["id"] != in_header["id"]:
            return None
    return str(in_header["id"])


def _is_reference(value: object) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and bool(value["id"])
        and isinstance(value.get("contentType"), str)
        and _CONTENT_TYPE.fullmatch(value["contentType"]) is not None
    )
