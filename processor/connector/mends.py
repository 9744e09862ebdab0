"""What to look at when records fail alike: one sentence for each kind of failure."""

from processor.errors import Code

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
