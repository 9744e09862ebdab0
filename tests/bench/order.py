"""Whether first acceptances keep the order of the offsets, key by key (pure)."""

import re

KEY_AND_NUMBER = re.compile(
    rb'"_id":"[^"]*-(\d{12})".*?"CapillaryCustomerId":\[\{"id":"([^"]+)"', re.DOTALL
)
"""Of one message: sample events are numbered in the order in which they are produced."""


class Order:
    """Notes what is accepted.

    Attributes:
        late: first acceptances that came after a later one of their key.
    """

    def __init__(self) -> None:
        self.late = 0
        self._seen: dict[bytes, set[int]] = {}
        self._last: dict[bytes, int] = {}

    @property
    def keys(self) -> int:
        """How many different keys there were."""
        return len(self._seen)

    @property
    def messages(self) -> int:
        """How many different messages there were."""
        return sum(map(len, self._seen.values()))

    def note(self, key: bytes, number: int) -> None:
        """A message was accepted; only the first time counts."""
        seen = self._seen.setdefault(key, set())
        if number in seen:
            return
        seen.add(number)
        if number < self._last.get(key, -1):
            self.late += 1
        self._last[key] = max(number, self._last.get(key, -1))

    def report(self) -> dict[str, int]:
        """The counts, as the sink reports them."""
        return {"keys": self.keys, "messages": self.messages, "late": self.late}

    def read(self, body: bytes) -> None:
        """Note every message of a request, in its order."""
        for number, key in KEY_AND_NUMBER.findall(body):
            self.note(key, int(number))
