"""Rows that break the process, so that the limits of the child process are known to hold."""

import faulthandler
from collections import Counter

from tests.corpus.generated import Counts, Generated
from tests.corpus.machine import Machine


async def hang(_: Machine) -> Counts:
    while True:
        pass


async def crash(_: Machine) -> Counts:
    faulthandler._sigsegv()  # type: ignore[attr-defined] # noqa: SLF001 - CPython's own way to crash
    return Counter()


async def fill(_: Machine) -> Counts:
    kept = [bytearray(10_000_000) for _ in range(100)]
    return Counter(kept=len(kept))


async def answer(_: Machine) -> Counts:
    return Counter(fine=1)


ROWS = (
    Generated("X1", "hangs", "", hang),
    Generated("X2", "crashes", "", crash),
    Generated("X3", "takes 1 GB", "", fill),
    Generated("X4", "is fine", "", answer),
)
