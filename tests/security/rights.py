"""The rights in Kafka that each work needs, as docs/security.md has them: no more, no less.

``tests/integration/test_rights.py`` does each work with exactly these on a broker that denies the
rest, and takes one after the other away.
"""

from typing import Literal, NamedTuple

On = Literal["topic", "group"]


class Right(NamedTuple):
    """What may be done to one thing.

    Attributes:
        on: the kind of resource.
        name: ``{source}``, ``{letters}`` (dead-letter topic), ``{state}``, ``{group}``; one that
            ends in ``*`` is meant as a prefix.
        operations: in Kafka's words; Read, Write and Delete include Describe.
        needed_for: in the words of the page.
    """

    on: On
    name: str
    operations: tuple[str, ...]
    needed_for: str


RUN = "`run`"
LOOK = "`dlq list`, `show`, `stats`, `export`; `trace`, `reconcile`, `offsets show`, `replay list`"
REPLAY = "`dlq replay`, `dlq discard`, `replay run`, `resume`, `cancel`"
RESET = "`offsets reset`"
PURGE = "`dlq purge`"

RIGHTS: dict[str, tuple[Right, ...]] = {
    RUN: (
        Right("topic", "{source}", ("Read",), "its records"),
        Right("group", "{group}", ("Read",), "joining, and committing"),
        Right("topic", "{letters}", ("Write",), "dead letters"),
        Right("topic", "{letters}", ("Create",), "its creation, unless it is there"),
        Right("topic", "{state}", ("Read", "Write"), "what holds, and orders to it"),
        Right("topic", "{state}", ("Create",), "its creation, unless it is there"),
    ),
    LOOK: (
        Right("topic", "{source}", ("Read",), "records, for `trace` and `reconcile`"),
        Right("topic", "{source}", ("DescribeConfigs",), "proofs of `reconcile`"),
        Right("topic", "{letters}", ("Read",), "dead letters"),
        Right("topic", "{letters}", ("DescribeConfigs",), "proofs of `reconcile`"),
        Right("topic", "{state}", ("Read",), "resolutions and replays"),
        Right("group", "{group}", ("Describe",), "committed offsets"),
    ),
    REPLAY: (
        Right("topic", "{source}", ("Read",), "records, and whether a letter is old news"),
        Right("topic", "{letters}", ("Read", "Write"), "letters, and those that fail again"),
        Right("topic", "{state}", ("Read", "Write"), "plan, progress and resolutions"),
        Right("group", "{group}", ("Describe",), "what the connector has committed"),
        Right("group", "{group}-replay-*", ("Read",), "the replay's own progress"),
    ),
    RESET: (
        Right("topic", "{source}", ("Read",), "setting offsets of it"),
        Right("group", "{group}", ("Read",), "setting its offsets"),
        Right("group", "{group}", ("Delete",), "having none again, as after `--from-file`"),
    ),
    PURGE: (
        Right("topic", "{letters}", ("Read", "Delete"), "looking, and deleting records"),
        Right("topic", "{state}", ("Read", "Write"), "resolutions"),
    ),
}

COLUMNS = ("resource", "name", "operations", "needed for")


def table() -> str:
    """The table of docs/security.md."""
    lines = [f"| for | {' | '.join(COLUMNS)} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for work, rights in RIGHTS.items():
        for right in rights:
            cells = (work, right.on, f"`{right.name}`", ", ".join(right.operations))
            lines.append(f"| {' | '.join((*cells, right.needed_for))} |")
            work = ""  # noqa: PLW2901 - said once, in the first line of its rights
    return "\n".join(lines) + "\n"
