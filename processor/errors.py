"""What can go wrong, and whose fault it is; the fault decides what happens next.

==============  ====================  ==========================================================
The fault of    Raised as             What happens
==============  ====================  ==========================================================
the moment      :class:`TryAgain`     wait and try again, for ever by default; never a dead letter
the record      :class:`Refused`      the record goes to the dead-letter topic, the rest goes on
the set-up      :class:`Misconfigured`  pause, stay alive and visibly unhealthy, say what to mend
==============  ====================  ==========================================================

Messages say what happened, to what, and what to do. They never hold a secret, a token or a
customer's field, because they are logged and written into dead-letter headers.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where a record's life ended, in Kafka Connect's words (``__connect.errors.stage``)."""

    VALUE_CONVERTER = "VALUE_CONVERTER"
    TRANSFORMATION = "TRANSFORMATION"
    TASK_PUT = "TASK_PUT"


class Code(StrEnum):
    """Why a record was refused: ``<step>.<what>``, a closed set, never a value from a record.

    It is a metric label, a dead-letter header and part of the fingerprint.
    """

    DECODE_FRAMING = "decode.framing"
    DECODE_UNKNOWN_SCHEMA_ID = "decode.unknown_schema_id"
    DECODE_WRONG_SCHEMA_TYPE = "decode.wrong_schema_type"
    DECODE_SCHEMA_REFUSED = "decode.schema_refused"
    DECODE_RESOLUTION = "decode.resolution"
    DECODE_TRUNCATED = "decode.truncated"
    DECODE_TRAILING_BYTES = "decode.trailing_bytes"
    DECODE_VALUE = "decode.value"
    DECODE_UTF8 = "decode.utf8"
    DECODE_LIMIT = "decode.limit"
    DECODE_JSON = "decode.json"
    DECODE_CRASH = "decode.crash"
    EVENT_UNKNOWN = "event.unknown"
    EVENT_UNMAPPED = "event.unmapped"
    EVENT_WRONG_ORG = "event.wrong_org"
    EVENT_INVALID = "event.invalid"
    MAPPING_EXPRESSION = "mapping.expression"
    MAPPING_TYPE = "mapping.type"
    MAPPING_NO_IDENTITY = "mapping.no_identity"
    GATE_VIOLATION = "gate.violation"
    GATE_TOO_LARGE = "gate.too_large"
    DELIVERY_REFUSED = "delivery.refused"
    DELIVERY_TOO_LARGE = "delivery.too_large"
    DELIVERY_POISON = "delivery.poison"
    DELIVERY_NO_VERDICT = "delivery.no_verdict"

    @property
    def stage(self) -> Stage:
        """Kafka Connect's stage of this code."""
        return _STAGES[self.partition(".")[0]]


_STAGES = {
    "decode": Stage.VALUE_CONVERTER,
    "event": Stage.VALUE_CONVERTER,
    "mapping": Stage.TRANSFORMATION,
    "gate": Stage.TRANSFORMATION,
    "delivery": Stage.TASK_PUT,
}


class FilterReason(StrEnum):
    """Why a record was left out on purpose; a metric label."""

    TOMBSTONE = "tombstone"
    UNMAPPED_EVENT = "unmapped_event"
    UNKNOWN_EVENT = "unknown_event"
    NO_TARGET = "no_target"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule of a schema that an entity breaks, in Adobe's words and without its values.

    Attributes:
        keyword: the JSON Schema keyword, such as ``type`` or ``required``.
        message: a sentence such as ``expected type: String, found: Long``.
        pointer_to_violation: JSON pointer into the entity, such as ``#/loyalty/points``.
        schema_location: JSON pointer into the schema, such as ``#/properties/loyalty``.

    Source: the objects of AEP's failed batches and inlet answers.
    """

    keyword: str
    message: str
    pointer_to_violation: str
    schema_location: str

    def as_adobe(self) -> dict[str, str]:
        """The violation with Adobe's key names, for headers, JSON output and the page."""
        return {
            "keyword": self.keyword,
            "message": self.message,
            "pointerToViolation": self.pointer_to_violation,
            "schemaLocation": self.schema_location,
        }


class ProcessorError(Exception):
    """A failure that knows whose fault it is, by its type."""


class TryAgain(ProcessorError):
    """The moment's fault: the same thing may pass later.

    Attributes:
        reason: what is away, from a small set that is a metric label: ``ims``,
            ``experience_platform``, ``schema_registry``, ``kafka``, ``dead_letter_topic``.
        retry_after_s: seconds the other side asked us to wait, `None` when it did not say.
    """

    def __init__(self, message: str, *, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Misconfigured(ProcessorError):
    """The set-up's fault: a person has to change something before this passes.

    Attributes:
        mend: one sentence that says what to change; empty when the message says it already.
        reason: as in :class:`TryAgain`, plus ``settings`` and ``schemas``.
    """

    def __init__(self, message: str, *, mend: str = "", reason: str = "settings") -> None:
        super().__init__(message)
        self.mend = mend
        self.reason = reason

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} {self.mend}".rstrip()


class Refused(ProcessorError):
    """The record's fault: no number of attempts would let it pass.

    Attributes:
        code: why, from the closed set.
        pointer: JSON pointer to the field at fault, ``""`` when it is the whole record. Part of
            the fingerprint, so array positions stand as ``*``.
        violations: what AEP or the gate found, at most five.
        http_status: AEP's status for this message, `None` when it was not sent.
        xaction_id: AEP's trace key for this message, when it gave one.
        event_name: the event, as far as decoding came; empty when it is not known. Likewise
            ``event_id``.
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code,
        pointer: str = "",
        violations: tuple[Violation, ...] = (),
        http_status: int | None = None,
        xaction_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.pointer = pointer
        self.violations = violations
        self.http_status = http_status
        self.xaction_id = xaction_id
        self.event_name = ""
        self.event_id: str | None = None


class Filtered(ProcessorError):
    """Not a failure: the settings say that this record is left out, and why."""

    def __init__(self, reason: FilterReason, event_name: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.event_name = event_name


def fingerprint(code: Code, *, pointer: str, schema: str, target: str) -> str:
    """A stable name for a kind of failure: 12 hexadecimal digits.

    Made of stage, code, JSON pointer, writer schema and target; never of free text, so the same
    mistake has one fingerprint whatever the record holds.
    """
    parts = (code.stage, code, pointer, schema, target)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]
