"""Who has logged in with a browser; kept in memory, so a restart logs everybody out."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

COOKIE = "processor_session"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
MAX_SESSIONS = 256
LIFE_S = 8 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has logged in.

    Attributes:
        token_digest: of the token that it logged in with; the session ends with the token.
        csrf: what each form of ours carries, and no other site knows.
        until_s: monotonic seconds of its end.
    """

    token_digest: bytes
    csrf: str
    until_s: float

    def __repr__(self) -> str:
        return "Session()"


class Sessions:
    """Sessions by the digest of their id; the oldest goes when there are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_digest: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, token_digest: bytes) -> str:
        """Begin a session; gives its id, the cookie's value."""
        number = secrets.token_urlsafe(32)
        until_s = self._clock() + LIFE_S
        self._by_digest[_digest(number)] = Session(token_digest, secrets.token_urlsafe(32), until_s)
        while len(self._by_digest) > MAX_SESSIONS:
            self._by_digest.popitem(last=False)
        return number

    def find(self, number: str) -> Session | None:
        """The session with this id; `None`: there is none, or it is over."""
        session = self._by_digest.get(_digest(number)) if number else None
        if session is not None and self._clock() >= session.until_s:
            self.close(number)
            return None
        return session

    def close(self, number: str) -> None:
        """End a session; there need not be one."""
        self._by_digest.pop(_digest(number), None)


def _digest(number: str) -> bytes:
    return hashlib.sha256(number.encode(errors="surrogateescape")).digest()
