"""B12, B13, B13a: bytes made by rule and by chance; whatever they are, they get a verdict."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.schemas import wire
from tests.corpus.inputs import number, payload, schema
from tests.corpus.machine import Machine
from tests.corpus.rows import Input

Counts = Counter[str]
"""How often each verdict was given."""

EVENTS = ("transactionAdded", "pointsIssued", "customerAdded")
FRAME_BYTES = 5
RANDOM_STRINGS = 20_000
MUTATIONS = 1_500
LENGTHS = (-(2**63), -(2**62), -1, 0, 1, 2**24, 2**31, 2**40, 2**62, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Generated:
    """Many inputs under one number.

    Attributes:
        verdict: in words.
        run: judges them all; raises when one gets no verdict.
        inputs: how many there are.
    """

    number: str
    what: str
    verdict: str
    run: Callable[[Machine], Awaitable[Counts]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.number} {self.what}"


def realistic(machine: Machine, name: str = "transactionAdded") -> bytes:
    return wire.confluent(machine.registry.id_of(schema(name).avro), payload(name))


async def truncations(machine: Machine) -> Counts:
    counts: Counts = Counter()
    for name in EVENTS:
        whole = realistic(machine, name)
        for end in range(FRAME_BYTES, len(whole)):
            counts[str((await machine.outcome(Input(whole[:end]))).verdict)] += 1
    return counts


async def bit_flips(machine: Machine) -> Counts:
    whole = realistic(machine)
    counts: Counts = Counter()
    for place in range(FRAME_BYTES, len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            counts[str((await machine.outcome(Input(bytes(flipped)))).verdict)] += 1
    return counts


async def random_strings(machine: Machine) -> Counts:
    draw = random.Random(13)
    frame = realistic(machine)[:FRAME_BYTES]
    counts: Counts = Counter()
    for turn in range(RANDOM_STRINGS):
        made = draw.randbytes(draw.randrange(600))
        given = Input(frame + made if turn % 2 else made)
        counts[str((await machine.outcome(given)).verdict)] += 1
    return counts


async def first_bytes(machine: Machine) -> Counts:
    draw = random.Random(256)
    counts: Counts = Counter()
    for first in range(256):
        for size in range(17):
            given = Input(bytes([first, *draw.randbytes(16)])[:size])
            counts[str((await machine.outcome(given)).verdict)] += 1
    return counts


async def mutations(machine: Machine) -> Counts:
    """Hypothesis looks for a mutation that gets no verdict; what raises is shrunk and shown."""
    wholes = [realistic(machine, name) for name in EVENTS]
    counts: Counts = Counter()

    @settings(
        max_examples=MUTATIONS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(wholes))
    def judged(value: bytes) -> None:
        counts[str(_now(machine.outcome(Input(value))))] += 1

    judged()
    return counts


def _now(outcome: Any) -> Any:
    """The verdict of a coroutine that waits for nothing: every schema is known by now."""
    try:
        outcome.send(None)
    except StopIteration as done:
        return done.value.verdict
    raise AssertionError("it waits for something")


@st.composite
def mutated(draw: st.DrawFn, wholes: list[bytes]) -> bytes:
    """One to four times a flipped bit, a cut, a splice or another length, behind the frame."""
    value = draw(st.sampled_from(wholes))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(FRAME_BYTES, max(FRAME_BYTES, len(value) - 1)))
        match draw(st.sampled_from(("flip", "cut", "splice", "length"))):
            case "flip" if place < len(value):
                flipped = value[place] ^ 1 << draw(st.integers(0, 7))
                value = value[:place] + bytes([flipped]) + value[place + 1 :]
            case "cut":
                value = value[:place] + value[place + draw(st.integers(1, 64)) :]
            case "splice":
                other = draw(st.sampled_from(wholes))
                start = draw(st.integers(0, len(other)))
                value = value[:place] + other[start : start + draw(st.integers(1, 64))]
            case _:
                length = number(draw(st.sampled_from(LENGTHS)))
                value = value[:place] + length + value[place + 1 :]
    return value


ROWS = (
    Generated("B12", "cut at every byte", "dead letter `decode.truncated`", truncations),
    Generated(
        "B13",
        "every bit of a realistic event flipped",
        "any, in bounded time; four of five are delivered, which only Kafka's CRC can prevent",
        bit_flips,
    ),
    Generated(
        "B13a",
        "20,000 random byte strings, framed and not",
        "dead letter `decode.*`, or `event.*`",
        random_strings,
    ),
    Generated(
        "B13a",
        "all first bytes, sizes 0 to 16",
        "dead letter `decode.*`, or wait for a registry that is away",
        first_bytes,
    ),
    Generated(
        "B13a",
        "flips, cuts, splices and lengths that Hypothesis thinks of",
        "any, in bounded time",
        mutations,
    ),
)
