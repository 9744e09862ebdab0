"""What each code means and what mends it, and what to look at when records fail alike."""

from dataclasses import dataclass

from processor.errors import Code, FilterReason

_CORRECT_PRODUCER = "Correct the producer."
_NOT_THE_SCHEMA = "The bytes are not what the schema says."
_A_ROW = "Correct the row that the message names, then replay."
_TELL_ADOBE = "Report it to Adobe with `processor.xaction.id`."


@dataclass(frozen=True, slots=True)
class About:
    """What a code tells.

    Attributes:
        meaning: a sentence: what is wrong with the record.
        mend: a sentence: what to do about its dead letters.
    """

    meaning: str
    mend: str


CODES = {
    Code.DECODE_FRAMING: About(
        "The bytes are neither Confluent framing, single-object encoding nor JSON.",
        "Look at what else writes to the topic.",
    ),
    Code.DECODE_UNKNOWN_SCHEMA_ID: About(
        "The registry does not have the id, even after the grace.",
        "Register the schema, then replay.",
    ),
    Code.DECODE_WRONG_SCHEMA_TYPE: About(
        "The id belongs to a JSON Schema or Protobuf schema.", _CORRECT_PRODUCER
    ),
    Code.DECODE_SCHEMA_REFUSED: About(
        "The writer's schema is not safe to decode with (recursion, zero-width items, size).",
        "Correct the schema.",
    ),
    Code.DECODE_RESOLUTION: About(
        "The writer's schema does not resolve to ours.",
        "See the message for the field; add a default or an alias.",
    ),
    Code.DECODE_TRUNCATED: About(f"{_NOT_THE_SCHEMA} They end too early.", _CORRECT_PRODUCER),
    Code.DECODE_TRAILING_BYTES: About(f"{_NOT_THE_SCHEMA} Some are left.", _CORRECT_PRODUCER),
    Code.DECODE_VALUE: About(
        f"{_NOT_THE_SCHEMA} A value is out of its type's range.", _CORRECT_PRODUCER
    ),
    Code.DECODE_UTF8: About(f"{_NOT_THE_SCHEMA} A text is not UTF-8.", _CORRECT_PRODUCER),
    Code.DECODE_LIMIT: About(
        "More bytes, items or digits than is safe.", "Raise it with the producer."
    ),
    Code.DECODE_JSON: About("Broken JSON.", _CORRECT_PRODUCER),
    Code.DECODE_CRASH: About(
        "The decoder failed in a way nobody foresaw; or the task died twice at this record, of "
        "native code or of a defect, or stood still there for a minute, and it was not decoded "
        "again.",
        "Report it with the dead letter.",
    ),
    Code.EVENT_UNKNOWN: About(
        "A name that Capillary does not document.",
        'Correct the producer, or set `converter.on_unknown_event = "filter"`.',
    ),
    Code.EVENT_UNMAPPED: About(
        "A documented name without a mapping.",
        "Add a folder in `schemas.directory`, or filter it.",
    ),
    Code.EVENT_WRONG_ORG: About(
        "Another Capillary organisation's event.", "See `capillary.org_ids`."
    ),
    Code.EVENT_INVALID: About(
        "A field is missing, of another type, or contradicts the schema.", _CORRECT_PRODUCER
    ),
    Code.MAPPING_EXPRESSION: About("A row of the mapping set fails.", _A_ROW),
    Code.MAPPING_TYPE: About(
        "A row of the mapping set gives a value that its field cannot hold.", _A_ROW
    ),
    Code.MAPPING_NO_IDENTITY: About(
        "No identity is left that a message could carry.", "See `[identity]`."
    ),
    Code.GATE_VIOLATION: About(
        "Experience Platform would refuse the entity.",
        "Correct the mapping set or the schema, then replay.",
    ),
    Code.GATE_TOO_LARGE: About(
        "More than 10 KB an event, or 100 KB a profile record: Profile drops those silently.",
        "Map fewer fields.",
    ),
    Code.DELIVERY_REFUSED: About(
        "Experience Platform refused this message.", "See `processor.errors` in its headers."
    ),
    Code.DELIVERY_TOO_LARGE: About("413 for this message alone.", "Map fewer fields."),
    Code.DELIVERY_POISON: About(
        "500 whenever this message is sent, while others are accepted.", _TELL_ADOBE
    ),
    Code.DELIVERY_NO_VERDICT: About(
        "No usable answer whenever this message is sent alone, while others get theirs.",
        _TELL_ADOBE,
    ),
}
"""Every code of a dead letter; the page docs/codes.md and every command say what stands here."""

REASONS = {
    FilterReason.TOMBSTONE: "The value is null (`converter.on_null_value`).",
    FilterReason.UNMAPPED_EVENT: "A documented event without a mapping "
    "(`converter.on_unmapped_event`).",
    FilterReason.UNKNOWN_EVENT: "An event that Capillary does not document "
    "(`converter.on_unknown_event`).",
    FilterReason.NO_TARGET: "The event is mapped, but to no target of the settings, or nothing of "
    "it is to be sent.",
    FilterReason.STALE: "Only in a replay: old news for a target that holds a state.",
}
"""Why a record was left out on purpose; it is counted, and no dead letter."""

MENDS = {code: about.mend.replace("`", "") for code, about in CODES.items()}
"""What to do about dead letters of each code, as plain text."""

RESTART = "A change of settings or files needs a restart."


def mend_of(code: Code, target: str) -> str:
    """What would mend a set-up in which records fail so.

    Args:
        code: of the failures.
        target: of the failures; empty for what fails before any target.
    """
    match code.partition(".")[0], code:
        case _, Code.DECODE_UNKNOWN_SCHEMA_ID:
            return (
                "Check that schema_registry.url is the registry of those who produce, and that "
                f"their schemas are registered there. {RESTART}"
            )
        case "mapping", _:
            return (
                f"Check the mapping sets to-{target}.json, mapping.mode and the events' schemas; "
                f"'processor map FILE --explain' shows what each rule does. {RESTART}"
            )
        case "gate", _:
            return (
                f"Check the mapping sets to-{target}.json against the XDM schema of "
                f"experience_platform.targets.{target}, and experience_platform.tenant. {RESTART}"
            )
        case _:
            return (
                f"Check schema_id, dataset_id, inlet_id and flow_id of experience_platform.targets."
                f"{target}, experience_platform.org_id and sandbox_name, and the schema in "
                f"Experience Platform. {RESTART}"
            )
