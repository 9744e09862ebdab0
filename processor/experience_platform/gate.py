"""Refuses an entity that Experience Platform would accept first and drop silently later."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import jsonschema_rs

from processor.errors import Code, Misconfigured, Refused, Violation
from processor.experience_platform import adobe_words, xdm_rules
from processor.schemas.folder import XdmSchema

EVENT_LIMIT_BYTES = 10_000
RECORD_LIMIT_BYTES = 100_000
"""AEP's guardrails say 10 KB and 100 KB of uncompressed JSON, and drop what is larger without an
answer; read as thousands, the smaller reading, because a dead letter can be seen and a drop
cannot."""

CLOCK_TOLERANCE_S = 300.0
"""A ``timestamp`` has to be in the past; the clocks of tills differ from ours."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No event is older: seconds that are read as milliseconds lie in January 1970."""

MAX_WARNING_KINDS = 256


class Gate:
    """Checks entities of one target: schema, size, time of events, and who they are about.

    An event lies between 2000 and now; an ``identityMap`` has one primary identity and none blank.

    Against a tenant's own schema every violation refuses. Against ours, which is a guess at the
    tenant's, a key it does not name and a value outside an enum are let through and counted.

    Attributes:
        limit_bytes: the largest entity that is let through; `None`: any.
        warned_entities: entities that were let through with at least one warning.
        warnings: ``(keyword, pointer)`` to how often, with array positions as ``*``. At most 256
            different ones are kept.

    Raises:
        Misconfigured: the schema is no JSON Schema, or refers to another document.
    """

    def __init__(
        self,
        target: str,
        schema: XdmSchema,
        on_profile_limit: Literal["dead_letter", "send"],
        *,
        tenant: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.target = target
        self.warned_entities = 0
        self.warnings: Counter[tuple[str, str]] = Counter()
        self._clock = clock
        self._strict = schema.tenant_owned
        self._event = xdm_rules.is_event(schema.document)
        limit_bytes = EVENT_LIMIT_BYTES if self._event else RECORD_LIMIT_BYTES
        self.limit_bytes = limit_bytes if on_profile_limit == "dead_letter" else None
        self._validator = _compiled(schema, tenant)

    def check(self, entity: dict[str, Any], encoded: bytes) -> None:
        """Let an entity through, or refuse it.

        Args:
            entity: the XDM entity.
            encoded: the same entity as UTF-8 JSON; its length is what AEP's limits count.

        Raises:
            Refused: ``gate.too_large``, or ``gate.violation`` with at most five violations.
        """
        if self.limit_bytes is not None and len(encoded) > self.limit_bytes:
            raise Refused(
                f"The entity for target {self.target} has {len(encoded)} bytes; Profile drops more"
                f" than {self.limit_bytes} silently. Map fewer fields, or set [gate]"
                " on_profile_limit to send.",
                code=Code.GATE_TOO_LARGE,
            )
        errors: list[jsonschema_rs.ValidationError] = []
        try:
            if not self._validator.is_valid(entity):
                errors = list(self._validator.iter_errors(entity))
        except ValueError:
            raise Refused(
                f"The entity for target {self.target} holds a value that JSON cannot carry.",
                code=Code.GATE_VIOLATION,
            ) from None
        if errors:
            self._judge(errors)
        if self._event:
            self._check_time(entity.get("timestamp"))
        self._check_identities(entity.get("identityMap"))

    def _judge(self, errors: Iterable[jsonschema_rs.ValidationError]) -> None:
        refusing: list[_Found] = []
        warned: set[tuple[str, str]] = set()
        for error in errors:
            if not self._strict and error.kind.name in {"additionalProperties", "enum"}:
                warned |= {(found.violation.keyword, found.pointer) for found in _translated(error)}
            else:
                refusing.extend(_translated(error))
        if refusing:
            self._refuse(refusing)
        self.warned_entities += 1
        for kind in warned:
            if kind in self.warnings or len(self.warnings) < MAX_WARNING_KINDS:
                self.warnings[kind] += 1

    def _refuse(self, found: list["_Found"]) -> None:
        distinct = {(f.pointer, f.violation.keyword, f.violation): f for f in found}
        # Sorted, so that the same mistake has the same first pointer and thereby fingerprint.
        ordered = [distinct[key] for key in sorted(distinct, key=lambda k: (k[0], k[1], str(k[2])))]
        first = ordered[0]
        rest = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
        raise Refused(
            f"Experience Platform would refuse this entity for target {self.target}:"
            f" {first.violation.pointer_to_violation}: {first.violation.message}{rest}."
            " Correct the mapping set, or the schema that target uses.",
            code=Code.GATE_VIOLATION,
            pointer=first.pointer,
            violations=tuple(f.violation for f in ordered[: adobe_words.MAX_VIOLATIONS]),
        )

    def _check_time(self, timestamp: object) -> None:
        if not isinstance(timestamp, str):
            return
        try:
            happened = datetime.fromisoformat(timestamp)
        except ValueError:
            return
        if happened.tzinfo is None:
            return
        if happened < EARLIEST:
            message = f"the timestamp of an event must not lie before {EARLIEST.year}"
        elif happened.timestamp() > self._clock() + CLOCK_TOLERANCE_S:
            message = "the timestamp of an event must be in the past"
        else:
            return
        self._refuse([_found("timestamp", message, "#/timestamp")])

    def _check_identities(self, identity_map: object) -> None:
        """What no schema says of an ``identityMap``, and Profile drops without an answer.

        A tenant's schema may have a primary identity among its fields; who sends what Profile may
        drop needs none in the map.
        """
        if not isinstance(identity_map, dict):
            return
        found: list[_Found] = []
        primaries = 0
        for namespace, items in identity_map.items():
            for index, item in enumerate(items if isinstance(items, list) else ()):
                if not isinstance(item, dict):
                    continue
                id_ = item.get("id")
                if id_ is None or (isinstance(id_, str) and not id_.strip()):
                    place = f"#/identityMap/{adobe_words.safe_key(namespace)}/{index}/id"
                    found.append(_found("identityMap", "an identity must not be blank", place))
                primaries += item.get("primary") is True
        if primaries > 1 or (not primaries and self.limit_bytes is not None):
            message = f"expected primary identities: 1, found: {primaries}"
            found.append(_found("identityMap", message, "#/identityMap"))
        if found:
            self._refuse(found)


class _Found:
    """A violation and the general pointer of the field at fault."""

    __slots__ = ("pointer", "violation")

    def __init__(self, violation: Violation, pointer: str) -> None:
        self.violation = violation
        self.pointer = pointer


def _found(keyword: str, message: str, pointer: str) -> _Found:
    """A rule of Experience Platform's that no schema holds."""
    location = f"#/properties/{keyword}"
    violation = Violation(keyword, message, pointer, location)
    return _Found(violation, adobe_words.generalised(pointer))


def _compiled(schema: XdmSchema, tenant: str) -> jsonschema_rs.Validator:
    document: Mapping[str, Any] = schema.document
    if tenant and not schema.tenant_owned:
        document = xdm_rules.with_tenant(document, tenant)
    try:
        # Offline: a schema must not make us call an address of its choosing.
        return jsonschema_rs.validator_for(
            xdm_rules.as_experience_platform(document), validate_formats=True, offline=True
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise Misconfigured(
            f"{schema.source} is no JSON Schema that the gate can use: {error}",
            mend="Export the schema again in its full form (xed-full), without references.",
            reason="schemas",
        ) from error


def _translated(error: jsonschema_rs.ValidationError) -> Iterable[_Found]:
    """Violations in Adobe's words; never the error's own message, which quotes the value."""
    name = error.kind.name
    where = adobe_words.pointer_of(error.instance_path)
    location = adobe_words.pointer_of(error.schema_path[:-1])
    detail = error.kind.as_dict()
    if name == "additionalProperties":
        for key in detail["unexpected"]:
            message = adobe_words.extraneous_key(key)
            pointer = adobe_words.generalised(f"{where}/{adobe_words.safe_key(key)}")
            yield _Found(Violation(name, message, where, location), pointer)
        return
    if name == "required":
        key = detail["property"]
        pointer = adobe_words.generalised(f"{where}/{key}")
        yield _Found(Violation(name, adobe_words.missing_key(key), where, location), pointer)
        return
    if name == "pattern" and detail["pattern"] == xdm_rules.DATE_TIME:
        name, detail = "format", {"format": "date-time"}
    message = _message(name, detail, error.instance)
    yield _Found(Violation(name, message, where, location), adobe_words.generalised(where))


def _message(name: str, detail: Mapping[str, Any], value: Any) -> str:
    if name == "type":
        return adobe_words.wrong_type(detail["types"], value)
    if name == "format":
        return adobe_words.wrong_format(detail["format"])
    size = len(value) if isinstance(value, str | list | dict) else 0
    sentence = _SENTENCES.get(name, "breaks the rule {name} of the schema")
    return sentence.format(name=name, size=size, **detail)


_SENTENCES = {
    "enum": "not a valid enum value",
    "const": "not the value that the schema asks for",
    "pattern": "string does not match pattern {pattern}",
    "minLength": "expected minLength: {limit}, actual: {size}",
    "maxLength": "expected maxLength: {limit}, actual: {size}",
    "minItems": "expected minimum item count: {limit}, found: {size}",
    "maxItems": "expected maximum item count: {limit}, found: {size}",
    "minimum": "not greater or equal to {limit}",
    "maximum": "not less or equal to {limit}",
    "exclusiveMinimum": "not greater than {limit}",
    "exclusiveMaximum": "not less than {limit}",
    "uniqueItems": "array items are not unique",
    "anyOf": "no subschema matched",
    "oneOf": "not exactly one subschema matched",
}
