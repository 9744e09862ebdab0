"""The text that a commit's metadata holds: which records beyond the offset have ended (pure).

``1;<cluster id>;<topic id>;<offset>;<CRC-32>;<runs>``. The runs alternate from the offset on: so
many offsets open, so many ended, and so on. Each length is a code of few bits, six bits a
character: up to eight it is written as in a bitmap (``1``, ``01``, ``001`` …), longer ones as eight
zeros and the Elias gamma code of what is beyond eight. So neither a long wait for one record nor a
thousand small holes takes much.
"""

import base64
import binascii
import math
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

VERSION = "1"
LIMIT_BYTES = 4096
"""The broker's default for ``offset.metadata.max.bytes``; more is refused."""

SHORT = 8
HEAD_BYTES = 128
CAPACITY_BITS = (LIMIT_BYTES - HEAD_BYTES) * 6
OFFSETS_END = 1 << 63
BITS_PER_OPEN = 1.1
"""No code takes more bits than this for each offset of its run."""


class Run(NamedTuple):
    """Offsets that have ended: from ``start``, up to but not ``stop``."""

    start: int
    stop: int


class Origin(NamedTuple):
    """Whose offsets they are: the ids that the broker gave to its cluster and to the topic."""

    cluster_id: str
    topic_id: str


class Mark(NamedTuple):
    """What is committed for a partition: the next offset to read, and what goes along.

    Attributes:
        generation: of the assignment that it was decided for, as the consumer's thread counts.
    """

    offset: int
    metadata: str = ""
    generation: int = 0


class Ignored(ValueError):
    """Metadata that says nothing about these records; the text is the reason."""


class Ended:
    """Runs of offsets that have ended, in order, apart from each other; immutable."""

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self._runs = tuple(runs)
        self._starts = [run.start for run in self._runs]

    def __bool__(self) -> bool:
        return bool(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def covers(self, offset: int) -> bool:
        """Whether this offset has ended."""
        at = bisect_right(self._starts, offset)
        return at > 0 and offset < self._runs[at - 1].stop

    def after(self, offset: int) -> "Ended":
        """What is left from this offset on."""
        if not self._runs or self._runs[0].start >= offset:
            return self
        return Ended([Run(max(r.start, offset), r.stop) for r in self._runs if r.stop > offset])


NOTHING = Ended()


def write(offset: int, ended: Iterable[Run], origin: Origin | None) -> str:
    """The metadata for a commit of ``offset``; empty when nothing beyond it has ended.

    Args:
        offset: the lowest that has not ended, so the first run begins beyond it.
        ended: runs in order, apart from each other. The last are left out if the text grew too
            long: their records would only be sent again.
        origin: `None` when the broker did not tell; then nobody could honour the text.
    """
    if origin is None or any(";" in part for part in origin):
        return ""
    head = f"{VERSION};{origin.cluster_id};{origin.topic_id};{offset}"
    room = (LIMIT_BYTES - len(head.encode()) - len(";01234567;") - 2) * 6
    codes: list[str] = []
    size, place = 0, offset
    for run in ended:
        code = _code(run.start - place) + _code(run.stop - run.start)
        size += len(code)
        if size > room:
            break
        codes.append(code)
        place = run.stop
    if not codes:
        return ""
    runs = _text("".join(codes))
    return f"{head};{_checksum(head, runs)};{runs}"


def read(metadata: str, offset: int, origin: Origin | None, end: int | None) -> Ended:
    """What had ended beyond a committed offset, by the metadata that was committed with it.

    Args:
        metadata: as the broker keeps it; empty says nothing.
        offset: as the broker reports it now.
        origin: of the partition as the broker reports it now, `None` when it does not.
        end: the offset after the log's last record, `None` when the broker does not tell.

    Raises:
        Ignored: it is not ours, or not about these records; the reason is in the text.
    """
    if not metadata:
        return NOTHING
    version, _, rest = metadata.partition(";")
    if version != VERSION:
        raise Ignored("its format is not known to this version")
    try:
        cluster_id, topic_id, at, checksum, runs = rest.split(";")
    except ValueError:
        raise Ignored("it is damaged") from None
    if checksum != _checksum(metadata[: -len(f";{checksum};{runs}")], runs):
        raise Ignored("it is damaged")
    if origin is None or end is None:
        raise Ignored("the broker does not tell whose offsets these are")
    if cluster_id != origin.cluster_id:
        raise Ignored("it is about another cluster")
    if topic_id != origin.topic_id:
        raise Ignored("it is about another topic, which had this name before")
    if at != str(offset):
        raise Ignored("it is about another offset")
    ended = _runs(runs, offset)
    if ended[-1].stop > end:
        raise Ignored("it is about more records than the log holds")
    return Ended(ended)


def most_bits(open_count: int, open_runs: int, span: int) -> float:
    """The most bits that the runs could take, now or once any of the open records have ended.

    Args:
        open_count: offsets that are open.
        open_runs: into how many runs they fall.
        span: offsets from the lowest open one to the last seen.

    A run takes at most 1.1 bits for each of its offsets, and at most 9 + 2 log2 of its length. The
    lower of both is concave: runs that join across an open one take no more than apart, and those
    between the open ones take most when they are of equal length.
    """
    ended = max(span - open_count, 0)
    if not open_runs or not ended:
        return BITS_PER_OPEN * open_count
    mean = ended / open_runs
    each = min(BITS_PER_OPEN * mean, SHORT + 1 + 2 * math.log2(max(mean, 1.0)))
    return BITS_PER_OPEN * open_count + open_runs * each


def _code(length: int) -> str:
    """The bits of one length from 1 on."""
    if length <= SHORT:
        return _SHORT_CODES[length]
    digits = f"{length - SHORT:b}"
    return "0" * (SHORT + len(digits) - 1) + digits


_SHORT_CODES = ("", *("0" * (length - 1) + "1" for length in range(1, SHORT + 1)))


def _lengths(bits: str) -> Iterator[int]:
    """The lengths whose codes these bits are, but for zeros at the end.

    Raises:
        ValueError: they end within a code.
    """
    place = 0
    while (one := bits.find("1", place)) >= 0:
        zeros = one - place
        if zeros < SHORT:
            yield zeros + 1
            place = one + 1
        else:
            place = one + zeros - SHORT + 1
            if place > len(bits):
                raise ValueError("The bits end within a code.")
            yield int(bits[one:place], 2) + SHORT


def _text(bits: str) -> str:
    padded = bits + "0" * (-len(bits) % 8)
    octets = int(padded, 2).to_bytes(len(padded) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _runs(text: str, offset: int) -> list[Run]:
    """The ended runs beyond an offset.

    Raises:
        Ignored: the text is not what `write` makes of them.
    """
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise Ignored("it is damaged")
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        lengths = list(_lengths(f"{int.from_bytes(octets, 'big'):0{8 * len(octets)}b}"))
    except (binascii.Error, ValueError):
        raise Ignored("it is damaged") from None
    runs = []
    place = offset
    for waiting, ended in zip(lengths[::2], lengths[1::2], strict=False):
        runs.append(Run(place + waiting, place + waiting + ended))
        place = runs[-1].stop
    if not runs or len(lengths) % 2 or place > OFFSETS_END:
        raise Ignored("it is damaged")
    if _text("".join(map(_code, lengths))) != text:
        raise Ignored("it is damaged")
    return runs


def _checksum(head: str, runs: str) -> str:
    return f"{zlib.crc32(f'{head};{runs}'.encode('utf-8', 'surrogatepass')):08x}"
