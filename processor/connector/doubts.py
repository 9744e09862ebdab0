"""Answers without a verdict: when a message that fails alone is convicted, and when not (pure).

A 500 or an unreadable answer may be the message's fault or an outage's. A message is convicted only
when it failed alone, and the inlet showed *meanwhile* that it takes others:

- a request that was sent after the failure was accepted, and then the message failed again; or
- the message and others failed together, the others were all accepted since, each in a request
  sent after that, and then the message failed alone. So the first failure was its own as well.

Both are "failed, others accepted, failed". An acceptance of a request that was on its way already
proves nothing: it may have been taken before the outage began.

A flapping inlet fails like this as well, by chance. It gives itself away by failures that were
nobody's fault: the same parcels were accepted later. The more of them there were lately, the more
often a message has to fail before that is no chance any more.

Where the inlet does not say 500 but says nothing that can be used, this comes too late: connections
that break one after the other hit the same message several times before anybody was cleared. So
there whatever else failed lately counts as chance, and of few other requests one cannot tell much.
"""

import math
from collections import deque
from itertools import islice

from processor.connector.batching import Batch

DOUBTS_500 = 2
DOUBTS_UNREADABLE = 3
"""Doubts that convict a message sent alone while others get their verdicts (promise 2)."""

BROKEN_OFF = frozenset({None, 502, 504})
"""No status, or a gateway's word for it: the connection broke or timed out, and the messages may
have arrived. One message can cause this as it can cause a 500."""

CHANCE = 1e-5
"""A message is convicted when it would have failed so often by chance less often than this."""

CHANCE_UNANSWERED, OTHERS, UNSEEN = 1e-7, 50, 3.0
"""The same where the inlet says nothing that can be used: judged by so many other requests, and as
if so many more had failed. Of fifty without a failure, one in seventeen might (*rule of three*, 95
%): then six failures are too many for chance; of two without one, six in ten might."""

MEMORY = 0.98
"""What weight is left, after each further request, of how those before it ended."""

MOST_FLAPPING = 0.75
"""Beyond this share of failures by chance no message gets a fair trial; ask 40 times at most."""


class Doubts:
    """What the requests of one inlet show of its health."""

    def __init__(self) -> None:
        self._sent = 0
        self._accepted_number = 0
        self._requests = 0.0
        self._by_chance = 0.0
        self._ended: deque[tuple[int, bool]] = deque(maxlen=4 * OTHERS)

    def sending(self, batch: Batch) -> None:
        """Note that a request begins."""
        self._sent += 1
        batch.number = self._sent
        batch.origin = batch.origin or self._sent
        self._requests = self._requests * MEMORY + 1
        self._by_chance *= MEMORY

    def accepted(self, batch: Batch, count: int) -> None:
        """Note that so many of a request's messages were accepted."""
        self._ended.append((batch.origin, True))
        if count:
            self._accepted_number = max(self._accepted_number, batch.number)
            if count == len(batch):
                self._by_chance += batch.unanswered
            for suspects in batch.suspects:
                suspects.uncleared -= count
                self._by_chance += not suspects.uncleared

    def enough(self, doubts: int) -> int:
        """How many doubts convict a message alone, at an inlet that never fails by chance: so many.

        Returns:
            As many, or more where failures by chance were frequent lately.
        """
        share = min(MOST_FLAPPING, self._by_chance / max(1.0, self._requests))
        return max(doubts, math.ceil(math.log(CHANCE) / math.log(share))) if share else doubts

    def may_be_chance(self, batch: Batch) -> bool:
        """Whether all requests with a message could have failed by chance, at such an inlet."""
        others = (answered for origin, answered in reversed(self._ended) if origin != batch.origin)
        ends = list(islice(others, OTHERS))
        share = (ends.count(False) + UNSEEN) / (len(ends) + UNSEEN)
        failures = batch.unanswered_before + batch.unanswered
        return min(MOST_FLAPPING, share) ** failures >= CHANCE_UNANSWERED

    def doubt(self, batch: Batch) -> int:
        """Note that a request got no verdict.

        Returns:
            How often that happened to these parcels. Of a parcel alone only those count between
            which the inlet accepted others: so many are enough that convict it.
        """
        self._ended.append((batch.origin, False))
        first = batch.doubted_at is None
        others = self._accepted_number > (batch.doubted_at or 0)
        cleared = bool(batch.suspects) and batch.suspects[-1].uncleared == 1
        batch.doubted_at = self._sent
        batch.unanswered += 1
        if len(batch) > 1 or first or others or cleared:
            batch.doubts += 1
        return batch.doubts
