"""Claims the letters of a run in the state topic, holds the claim while it runs, and lets it go."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from processor.errors import ProcessorError
from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.own_process import is_gone, this_process, user_at_host
from processor.operations.reading import Spans
from processor.operations.resolutions.claims import (
    HOLDS_MS,
    Claim,
    Claimant,
    Share,
    claim_entries,
    forgotten,
    read_claims,
    renewal_key,
    rivals,
    share,
)
from processor.operations.resolutions.runs import both

LATE_S = HOLDS_MS / 2_000
"""A claim renewed later than this may have been taken for over: one looks."""


class State(Protocol):
    """The state topic; see :class:`processor.kafka.state.StateTopic`."""

    def read(self, prefix: str = "") -> Mapping[str, Entry]:
        """The latest entry of each key."""

    def write_many(self, documents: Mapping[str, Document | None]) -> Mapping[str, int]:
        """Write entries; they are acknowledged."""


class StillRunning(ProcessorError):
    """Somebody is at work on what was meant."""


class Claiming:
    """One run's claim. Every call blocks, and raises as the state topic does.

    Args:
        state: where claims stand.
        who: us.
        gone: whether a process has certainly ended.
    """

    def __init__(
        self, state: State, who: Claimant, *, gone: Callable[[str], bool] = is_gone
    ) -> None:
        self._state = state
        self._who = who
        self._gone = gone
        self._keys: list[str] = []
        self._renewed_s = time.monotonic()

    def take(self, letters: Chosen) -> tuple[Share, Mapping[str, Entry]]:
        """Claim letters.

        Returns:
            Which of them are ours, and the state topic as it was read after that: what others had
            done about them before they let go stands in it.
        """
        entries = claim_entries(self._who, letters)
        self._keys = [*entries, renewal_key(self._who.run)]
        self._renewed_s = time.monotonic()
        self._state.write_many({**entries, renewal_key(self._who.run): {}})
        read = self._state.read()
        claims, now_ms = self._claims(read)
        found = share(self._who.run, claims, now_ms=now_ms, gone=self._gone)
        if old := forgotten(claims, now_ms=now_ms):
            self._state.write_many(dict.fromkeys(old))
        return found, read

    def renew(self) -> str:
        """Say that we are alive; why this run has to end, empty when it has not.

        After a long silence others may have taken our claim for over, and the letters for theirs.
        """
        late = time.monotonic() - self._renewed_s > LATE_S
        self._state.write_many({renewal_key(self._who.run): {}})
        self._renewed_s = time.monotonic()
        if not late:
            return ""
        claims, now_ms = self._claims(self._state.read())
        others = rivals(self._who.run, claims, now_ms=now_ms, gone=self._gone)
        if not others:
            return ""
        return (
            "Kafka did not hear from this replay for too long, and its letters are claimed by "
            f"{', '.join(sorted(f'{other.what} of {other.by}' for other in others))} now."
        )

    def release(self) -> None:
        """Let the claim go."""
        self._state.write_many(dict.fromkeys(self._keys))
        self._keys = []

    def _claims(self, read: Mapping[str, Entry]) -> tuple[list[Claim], int]:
        """All claims, and the time by the brokers' clock: that of our own renewal."""
        ours = read.get(renewal_key(self._who.run))
        return read_claims(read.values()), ours.timestamp_ms if ours is not None else 0


@contextmanager
def claiming(state: State, what: str, run: str) -> Iterator[Claiming]:
    """A claim of this process that is let go at the end, whatever happens.

    Args:
        state: where it stands.
        what: for people: the id of the replay, or of the action.
        run: an id of this attempt alone.
    """
    claim = Claiming(state, Claimant(run, what, user_at_host(), this_process()))
    try:
        yield claim
    finally:
        with suppress(ProcessorError):  # then it ends by itself
            claim.release()


def running(
    entries: Mapping[str, Entry], what: str, *, gone: Callable[[str], bool] = is_gone
) -> Claimant | None:
    """Who is at work on a replay; `None`: nobody. By this host's clock, so only a hint.

    Args:
        entries: of the state topic.
        what: the replay's id.
        gone: whether a process has certainly ended.
    """
    return next((c.who for c in _live(entries, gone) if c.who.what == what), None)


def at_work(
    entries: Mapping[str, Entry], spans: Spans, *, gone: Callable[[str], bool] = is_gone
) -> Claimant | None:
    """Who is at work on letters within these spans; `None`: nobody. Likewise only a hint."""
    for claim in _live(entries, gone):
        start, end = spans.get(claim.partition, (0, 0))
        if len(both(claim.offsets, Offsets.of(start, end) if start < end else Offsets())):
            return claim.who
    return None


def _live(entries: Mapping[str, Entry], gone: Callable[[str], bool]) -> Iterator[Claim]:
    now_ms = time.time_ns() // 1_000_000
    for claim in read_claims(entries.values()):
        if claim.until_ms > now_ms and not gone(claim.who.process):
            yield claim
