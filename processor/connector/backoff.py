"""How long to wait after a failure: exponential with full jitter, longer when we were asked to."""

from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, wait_random_exponential

RETRY_AFTER_CAP_S = 300.0
"""A longer ``Retry-After`` is cut to this: an absurd one must not put the connector to sleep."""

FIRST_CEILING_S = 0.5


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts.

    Full jitter: anywhere between nothing and a ceiling that doubles with each attempt, so that
    tasks which failed together do not come back together.

    Attributes:
        ceiling_s: the highest ceiling, in seconds.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; computed by tenacity.
    """

    ceiling_s: float

    def wait_s(self, attempts: int, retry_after_s: float | None = None) -> float:
        """Seconds to wait after this many failed attempts (the first failure is 1).

        With a ``Retry-After`` never less than that, up to `RETRY_AFTER_CAP_S`.
        """
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempts
        jittered_s = wait_random_exponential(multiplier=FIRST_CEILING_S, max=self.ceiling_s)(state)
        if retry_after_s is None:
            return jittered_s
        return max(jittered_s, min(retry_after_s, RETRY_AFTER_CAP_S))
