"""What became of the records of one fault, by identity."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Tally(NamedTuple):
    """How many messages were lost or repeated, and how many dead letters there are.

    Attributes:
        lost: messages that were not accepted, and records at fault without a letter.
        strangers: dead letters of records that are not at fault.
    """

    lost: int
    repeated: int
    dead_lettered: int
    strangers: int


def tally(
    row: str,
    expected: Mapping[str, set[str]],
    accepted: Iterable[Mapping[str, Any]],
    *,
    letters: Iterable[bytes] = (),
    bad: Iterable[bytes] = (),
    repeats: str = "0",
) -> Tally:
    """Count, and print one line such as ``F12: lost 0, repeated 0, dead-lettered 0, expected …``.

    Args:
        row: its number, and what of it.
        expected: by target, the ``_id`` of each message of a good record.
        accepted: what the simulator accepted.
        letters: the values in the dead-letter topic.
        bad: the values of the records at fault.
        repeats: how many are expected, in words.
    """
    times = Counter((message["inlet"], message["_id"]) for message in accepted)
    wanted = {(target, one) for target, ids in expected.items() for one in ids}
    found, faulty = list(letters), set(bad)
    counted = Tally(
        lost=len(wanted - times.keys()) + len(faulty.difference(found)),
        repeated=sum(times[key] > 1 for key in wanted),
        dead_lettered=len(found),
        strangers=len(set(found) - faulty),
    )
    print(  # noqa: T201 - the line of the row
        f"{row}: lost {counted.lost}, repeated {counted.repeated}, "
        f"dead-lettered {counted.dead_lettered}, expected 0/{repeats}/{len(faulty)}"
    )
    return counted
