"""What mends a failure: a sentence for each code, and what to look at when records fail alike."""

from processor.errors import Code

_CORRECT_PRODUCER = "Correct the producer."

MENDS = {
    Code.DECODE_FRAMING: "Look at what else writes to the topic.",
    Code.DECODE_UNKNOWN_SCHEMA_ID: "Register the schema, then replay.",
    Code.DECODE_WRONG_SCHEMA_TYPE: _CORRECT_PRODUCER,
    Code.DECODE_SCHEMA_REFUSED: "Correct the schema.",
    Code.DECODE_RESOLUTION: "See the message for the field; add a default or an alias.",
    Code.DECODE_TRUNCATED: _CORRECT_PRODUCER,
    Code.DECODE_TRAILING_BYTES: _CORRECT_PRODUCER,
    Code.DECODE_VALUE: _CORRECT_PRODUCER,
    Code.DECODE_UTF8: _CORRECT_PRODUCER,
    Code.DECODE_LIMIT: "Raise it with the producer.",
    Code.DECODE_JSON: _CORRECT_PRODUCER,
    Code.DECODE_CRASH: "Report it with the dead letter.",
    Code.EVENT_UNKNOWN: 'Correct the producer, or set converter.on_unknown_event = "filter".',
    Code.EVENT_UNMAPPED: "Add a folder in schemas.directory, or filter it.",
    Code.EVENT_WRONG_ORG: "See capillary.org_ids.",
    Code.EVENT_INVALID: _CORRECT_PRODUCER,
    Code.MAPPING_EXPRESSION: "Correct the row that the message names, then replay.",
    Code.MAPPING_TYPE: "Correct the row that the message names, then replay.",
    Code.MAPPING_NO_IDENTITY: "See [identity].",
    Code.GATE_VIOLATION: "Correct the mapping set or the schema, then replay.",
    Code.GATE_TOO_LARGE: "Map fewer fields.",
    Code.DELIVERY_REFUSED: "See processor.errors in its headers.",
    Code.DELIVERY_TOO_LARGE: "Map fewer fields.",
    Code.DELIVERY_POISON: "Report it to Adobe with processor.xaction.id.",
    Code.DELIVERY_NO_VERDICT: "Report it to Adobe with processor.xaction.id.",
}
"""What to do about dead letters of each code; the README's table of codes says the same."""

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
