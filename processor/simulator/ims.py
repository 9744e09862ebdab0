"""Adobe IMS: client credentials in, opaque tokens out, and which tokens still hold."""

import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from processor.simulator.options import MOST_SECRETS, SimulatorOptions

MOST_TOKENS = 10_000
MOST_CLIENTS = 100
_MILLISECONDS = frozenset({"", "v1", "v2"})
"""Versions of ``/ims/token`` that answer milliseconds; v3 documents seconds."""

Revocation = Literal["all"] | int
TokenState = Literal["valid", "missing", "invalid"]


class Ims:
    """The token endpoint's state.

    Args:
        options: the client, its secrets and the tokens' lifetime.
        clock: monotonic seconds; tokens end by it, whatever the wall clock does.
    """

    def __init__(
        self, options: SimulatorOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._clock = clock
        self._tokens: dict[str, tuple[int, float]] = {}
        self._revoked: set[int] = set()
        self._learnt: dict[str, list[str]] = {}
        self.minted = 0
        self.refused = 0

    def answer(
        self, fields: Mapping[str, str], *, version: str, lifetime_s: float | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of ``POST /ims/token[/version]``.

        Args:
            fields: the request's form fields.
            version: ``""``, ``v1`` … ``v4``.
            lifetime_s: another lifetime than the options' for this token.
        """
        problem = self._problem(fields)
        if problem is not None:
            self.refused += 1
            error, description = problem
            return 400, {"error": error, "error_description": description}
        lifetime = self._options.token_lifetime_s if lifetime_s is None else lifetime_s
        return 200, {
            "access_token": self._mint(lifetime),
            "token_type": "bearer",
            "expires_in": expires_in(lifetime, milliseconds=version in _MILLISECONDS),
        }

    def number_of(self, authorization: str | None) -> tuple[TokenState, int | None]:
        """Whether an ``Authorization`` header holds, and the number of its token."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            return "missing", None
        number, ends_at = self._tokens.get(value.strip(), (None, 0.0))
        return ("valid" if self._clock() < ends_at else "invalid"), number

    def expire_all(self) -> None:
        """Let every token end now."""
        self._tokens = {token: (number, 0.0) for token, (number, _) in self._tokens.items()}

    def revoke(self, which: Revocation) -> None:
        """Withdraw a secret, by its place from 0, or all; tokens it bought stay valid."""
        self._revoked |= set(range(MOST_SECRETS)) if which == "all" else {which}

    def restore(self) -> None:
        """Let all secrets hold again, and forget those that were learnt."""
        self._revoked.clear()
        self._learnt.clear()

    def _problem(self, fields: Mapping[str, str]) -> tuple[str, str] | None:
        if fields.get("grant_type") != "client_credentials":
            return "unsupported_grant_type", "invalid grant_type parameter"
        client_id, given = fields.get("client_id", ""), fields.get("client_secret", "")
        if not client_id or client_id != (self._options.client_id or client_id):
            return "invalid_client", "invalid client_id parameter"
        secrets_of_client = self._secrets_of(client_id, given)
        if not given or not any(
            hmac.compare_digest(given.encode(), secret.encode())
            for place, secret in enumerate(secrets_of_client)
            if place not in self._revoked
        ):
            return "invalid_client", "invalid client_secret parameter"
        if not fields.get("scope", "").replace(",", " ").split():
            return "invalid_scope", "invalid scope parameter"
        return None

    def _secrets_of(self, client_id: str, given: str) -> Sequence[str]:
        if self._options.client_id is not None:
            return self._options.client_secrets
        if len(self._learnt) >= MOST_CLIENTS and client_id not in self._learnt:
            return ()
        known = self._learnt.setdefault(client_id, [])
        held = [secret for place, secret in enumerate(known) if place not in self._revoked]
        if given and given not in known and not held and len(known) < MOST_SECRETS:
            known.append(given)
        return known

    def _mint(self, lifetime_s: float) -> str:
        now = self._clock()
        if len(self._tokens) >= MOST_TOKENS:
            self._tokens = {t: held for t, held in self._tokens.items() if now < held[1]}
        if len(self._tokens) >= MOST_TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        self.minted += 1
        token = secrets.token_urlsafe(64)
        self._tokens[token] = self.minted, now + lifetime_s
        return token


def expires_in(lifetime_s: float, *, milliseconds: bool) -> int:
    """``expires_in`` as Adobe gives it: a little less than the lifetime.

    Source: 86399994 for a day in Adobe's Capillary tutorial (``/ims/token``), 86399 in the
    Developer Console's guide (``/ims/token/v3``).
    """
    return max(round(lifetime_s * 1000) - 6, 0) if milliseconds else max(int(lifetime_s) - 1, 0)
