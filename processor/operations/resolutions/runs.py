"""Sets of offsets as text, and what two of them have in common (pure).

Two forms. For programs, :func:`pack`: the gaps and lengths of the runs as LEB128 numbers in
Base64, so that a million letters in a row take a few characters, and a million of which every
other one is meant three megabytes. For people, :func:`write`: ``0-16,18,20-22``.
"""

import base64
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, islice

from processor.operations.chosen import Offsets

RUNS_A_PIECE = 8_000
"""Neither number of a run takes more than nine bytes, so a piece is below 200,000 characters."""

SEVEN_BITS = 0x7F
MORE = 0x80
LARGEST_BITS = 63

_RUN = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", re.ASCII)

Run = tuple[int, int]
"""A run's first offset, and the one after its last."""


def pack(offsets: Offsets) -> str:
    """The set as text for programs."""
    out, last = bytearray(), 0
    for bound in chain.from_iterable(offsets.runs()):
        number, last = bound - last, bound
        while number > SEVEN_BITS:
            out.append(number & SEVEN_BITS | MORE)
            number >>= 7
        out.append(number)
    return base64.b64encode(out).decode()


def unpack(text: str) -> Offsets:
    """The set that :func:`pack` wrote.

    Raises:
        ValueError: it is not of that form.
    """
    content = base64.b64decode(text, validate=True)
    small = not content or max(content) < MORE
    return Offsets.of_bounds(array("q", accumulate(content if small else _numbers(content))))


def pieces(offsets: Offsets) -> Iterator[Offsets]:
    """The set cut into some that are short as text; none for an empty one."""
    runs = offsets.runs()
    while some := list(islice(runs, RUNS_A_PIECE)):
        yield of_runs(some)


def write(offsets: Offsets) -> str:
    """The set as text for people; ends are inclusive."""
    return ",".join(
        f"{start}-{end - 1}" if end - start > 1 else f"{start}" for start, end in offsets.runs()
    )


def read(text: str) -> Offsets:
    """The set that :func:`write` wrote.

    Raises:
        ValueError: it is not of that form, or its runs do not rise.
    """
    offsets = Offsets()
    for part in text.split(",") if text else ():
        found = _RUN.fullmatch(part)
        if found is None:
            raise ValueError("offsets are written as 0-16,18")
        start = int(found[1])
        offsets.add_run(start, int(found[2] or start) + 1)
    return offsets


def of_runs(runs: Iterable[Run]) -> Offsets:
    """The set of these runs, which rise and do not overlap."""
    offsets = Offsets()
    for start, end in runs:
        offsets.add_run(start, end)
    return offsets


def of_any(offsets: Iterable[int]) -> Offsets:
    """The set of these offsets, in whatever order they come."""
    made = Offsets()
    for offset in sorted(set(offsets)):
        made.add(offset)
    return made


def union(*sets: Offsets) -> Offsets:
    """What is in any of them."""
    runs: list[list[int]] = []
    for start, end in sorted(chain.from_iterable(s.runs() for s in sets)):
        if runs and start <= runs[-1][1]:
            runs[-1][1] = max(runs[-1][1], end)
        else:
            runs.append([start, end])
    return of_runs((start, end) for start, end in runs)


def both(one: Offsets, other: Offsets) -> Offsets:
    """What is in both."""
    common, left, right = Offsets(), one.runs(), other.runs()
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        start, end = max(a[0], b[0]), min(a[1], b[1])
        if start < end:
            common.add_run(start, end)
        if a[1] <= b[1]:
            a = next(left, None)
        else:
            b = next(right, None)
    return common


def minus(one: Offsets, other: Offsets) -> Offsets:
    """What is in the first and not in the second."""
    rest = Offsets()
    without = other.runs()
    hole = next(without, None)
    for run_start, end in one.runs():
        start = run_start
        while hole is not None and hole[1] <= start:
            hole = next(without, None)
        while hole is not None and hole[0] < end:
            if start < hole[0]:
                rest.add_run(start, hole[0])
            start = hole[1]
            if start >= end:
                break
            hole = next(without, None)
        if start < end:
            rest.add_run(start, end)
    return rest


def _numbers(content: bytes) -> Iterator[int]:
    number, bits = 0, 0
    for byte in content:
        number |= (byte & SEVEN_BITS) << bits
        bits += 7
        if byte < MORE:
            yield number
            number, bits = 0, 0
        elif bits >= LARGEST_BITS:
            raise ValueError("a number has more than 63 bits")
    if bits:
        raise ValueError("the text ends within a number")
