"""How many requests may be in flight: fewer when refused or slow, more when all is well (pure).

Additive increase, multiplicative decrease, as TCP does it: after each round of answers one request
more; at a refusal half of them; where a round takes much longer than is usual, a tenth fewer. What
was sent before the last decrease says nothing new, so one round trip decreases once.

Source: Jacobson, "Congestion Avoidance and Control", 1988; the round-trip time as a signal follows
Vector's adaptive request concurrency.
"""

HALVED, EASED = 0.5, 0.9

SLOW_TIMES, SLOW_S = 2.0, 0.25
"""An answer is slow when it takes so many times what is usual, and so many seconds on top: requests
differ in size, and our own loop takes its time."""

CREEP = 0.01
"""Weight of each answer in what is usual. A faster one is believed at once; a lasting slowness
becomes usual within some hundred answers, for then it is not of our making."""


class Concurrency:
    """The limit of one task.

    Args:
        ceiling: ``delivery.max_in_flight``; also where it starts.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._limit = float(ceiling)
        self._decreased_at_s = float("-inf")
        self._usual_s: float | None = None

    @property
    def limit(self) -> int:
        """Requests that may be in flight, from 1 to the ceiling."""
        return int(self._limit)

    def answered(self, began_s: float, now_s: float, *, in_use: int) -> None:
        """A request was answered.

        Args:
            began_s: when it was sent, in monotonic seconds.
            now_s: when it was answered.
            in_use: requests that held a place until now; without need of more there is no more.
        """
        took_s = now_s - began_s
        usual_s = took_s if self._usual_s is None else self._usual_s
        if took_s > SLOW_TIMES * usual_s + SLOW_S:
            self._decrease(EASED, began_s, now_s)
        elif in_use >= self.limit:
            self._limit = min(float(self._ceiling), self._limit + 1.0 / self._limit)
        self._usual_s = min(took_s, usual_s + CREEP * (took_s - usual_s))

    def refused(self, began_s: float, now_s: float) -> None:
        """A request, or a message of it, was put off: throttled, unavailable, out of time."""
        self._decrease(HALVED, began_s, now_s)

    def _decrease(self, share: float, began_s: float, now_s: float) -> None:
        if began_s >= self._decreased_at_s:
            self._limit = max(1.0, self._limit * share)
            self._decreased_at_s = now_s
