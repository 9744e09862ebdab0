"""When an inlet that is in trouble may send its next probe (pure)."""

from dataclasses import dataclass

from processor.connector.backoff import Backoff


@dataclass(slots=True)
class Trouble:
    """Nothing is sent now but one probe at a time.

    Attributes:
        reason: what began it, as in :class:`processor.connector.pauses.Pause`.
        attempts: failures so far, the probes' included.
        until_s: when the next probe may go, in monotonic seconds.
        alone: the probe is to hold one message only.
    """

    reason: str
    attempts: int
    until_s: float
    alone: bool = False

    @classmethod
    def begin(
        cls, reason: str, backoff: Backoff, now_s: float, retry_after_s: float | None
    ) -> "Trouble":
        """The first failure."""
        return cls(reason, 1, now_s + backoff.wait_s(1, retry_after_s))

    def failed(self, backoff: Backoff, now_s: float, retry_after_s: float | None) -> None:
        """Note a probe that failed, or a request that was on its way when the trouble began."""
        if now_s >= self.until_s:
            self.attempts += 1
            self.until_s = now_s + backoff.wait_s(self.attempts, retry_after_s)
        elif retry_after_s is not None:
            self.until_s = max(self.until_s, now_s + backoff.wait_s(1, retry_after_s))
