"""Who may do something about which letters, when two people want to at once (pure).

Before it sends anything, a run writes ``claim/<dead-letter topic>/<partition>/<run>/<n>``, the
offsets that it means, and reads the state topic again. Of claims that overlap, the one that stands
first in the topic has the letters that both mean: everybody reads the same order, so everybody
comes to the same verdict. The loser leaves these letters alone, and does the rest.

A claim holds for `HOLDS_MS` after it was written or its run last wrote ``renewal/<run>``, by the
brokers' clock; so a run that was killed does not block the next one for long, and not at all where
one can see that its process is gone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.resolutions.runs import both, minus, pack, pieces, union, unpack
from processor.record import TopicPartition

CLAIM, RENEWAL = "claim/", "renewal/"
HOLDS_MS = 30_000
RENEW_EVERY_S = 5.0
FORGOTTEN_MS = 3_600_000
"""A claim that ended so long ago is deleted by whoever reads it."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims.

    Attributes:
        run: an id of this attempt alone; one that resumes a replay claims anew.
        what: for people: the id of the replay, or of the action.
        by: ``user@host``.
        process: which process it is, for :func:`processor.operations.own_process.is_gone`.
    """

    run: str
    what: str
    by: str
    process: str

    def document(self) -> Document:
        """As a claim's entry holds it."""
        return {"what": self.what, "by": self.by, "process": self.process}


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it was read.

    Attributes:
        place: its offset in the state topic.
        until_ms: when it ends, by the brokers' clock.
    """

    who: Claimant
    partition: TopicPartition
    offsets: Offsets
    key: str
    place: int
    until_ms: int


def claim_entries(who: Claimant, letters: Chosen) -> dict[str, Document]:
    """The entries of a claim by key."""
    return {
        f"{CLAIM}{partition.topic}/{partition.partition}/{who.run}/{number}": {
            **who.document(),
            "runs": pack(piece),
        }
        for partition, offsets in letters.by_partition.items()
        for number, piece in enumerate(pieces(offsets))
    }


def renewal_key(run: str) -> str:
    """The key that a run writes to say that it is alive."""
    return f"{RENEWAL}{run}"


def read_claims(entries: Iterable[Entry]) -> list[Claim]:
    """The claims among entries of the state topic, ended ones too."""
    entries = list(entries)
    renewed_ms = {
        entry.key.removeprefix(RENEWAL): entry.timestamp_ms
        for entry in entries
        if entry.key.startswith(RENEWAL)
    }
    claims = (_claim(entry, renewed_ms) for entry in entries if entry.key.startswith(CLAIM))
    return [claim for claim in claims if claim is not None]


def _claim(entry: Entry, renewed_ms: Mapping[str, int]) -> Claim | None:
    try:
        topic, partition, run, _ = entry.key.removeprefix(CLAIM).rsplit("/", 3)
        document = entry.document or {}
        who = Claimant(run, *(str(document[name]) for name in ("what", "by", "process")))
        since_ms = max(entry.timestamp_ms, renewed_ms.get(run, 0))
        return Claim(
            who,
            TopicPartition(topic, int(partition)),
            unpack(document["runs"]),
            entry.key,
            entry.offset,
            since_ms + HOLDS_MS,
        )
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Share:
    """What of the letters that a run claimed it has.

    Attributes:
        ours: these.
        others: by who has them, how many it has not.
    """

    ours: Chosen
    others: Mapping[Claimant, int]


def share(run: str, claims: Iterable[Claim], *, now_ms: int, gone: Callable[[str], bool]) -> Share:
    """What a run has of the letters that it claimed.

    Args:
        run: whose claims are ours.
        claims: all of them.
        now_ms: by the brokers' clock.
        gone: whether a process has certainly ended.
    """
    claims = list(claims)
    others_by_place = _live(run, claims, now_ms=now_ms, gone=gone)
    ours: dict[TopicPartition, list[Offsets]] = {}
    others: dict[Claimant, int] = {}
    for claim in sorted((c for c in claims if c.who.run == run), key=lambda c: c.offsets.span):
        left = claim.offsets
        for rival in sorted(others_by_place.get(claim.partition, ()), key=lambda c: c.place):
            if rival.place < claim.place and (common := both(left, rival.offsets)):
                left = minus(left, common)
                others[rival.who] = others.get(rival.who, 0) + len(common)
        if left:
            ours.setdefault(claim.partition, []).append(left)
    return Share(Chosen({p: union(*offsets) for p, offsets in sorted(ours.items())}), others)


def rivals(
    run: str, claims: Iterable[Claim], *, now_ms: int, gone: Callable[[str], bool]
) -> set[Claimant]:
    """Who else claims letters that a run has claimed, whoever of them was first."""
    claims = list(claims)
    others = _live(run, claims, now_ms=now_ms, gone=gone)
    return {
        other.who
        for claim in claims
        if claim.who.run == run
        for other in others.get(claim.partition, ())
        if len(both(claim.offsets, other.offsets))
    }


def _live(
    run: str, claims: Iterable[Claim], *, now_ms: int, gone: Callable[[str], bool]
) -> dict[TopicPartition, list[Claim]]:
    """The claims of others that hold, by partition."""
    running: dict[str, bool] = {}
    found: dict[TopicPartition, list[Claim]] = {}
    for claim in claims:
        if claim.who.run != run and claim.until_ms > now_ms:
            process = claim.who.process
            if process not in running:
                running[process] = not gone(process)
            if running[process]:
                found.setdefault(claim.partition, []).append(claim)
    return found


def forgotten(claims: Iterable[Claim], *, now_ms: int) -> list[str]:
    """Keys of claims, and of their renewals, that ended long ago."""
    old = [claim for claim in claims if claim.until_ms + FORGOTTEN_MS < now_ms]
    return [claim.key for claim in old] + sorted({renewal_key(claim.who.run) for claim in old})
