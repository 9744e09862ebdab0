"""Access tokens of Adobe IMS: bought once, shared by all requests, replaced before they end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx

from processor.errors import Misconfigured, TryAgain
from processor.experience_platform.exchange import (
    NoReply,
    checked_header,
    checked_url,
    exchange,
    open_client,
)
from processor.experience_platform.ims_answers import Granted, SecretRefused, Unit, read_ims_answer
from processor.settings.models import ImsSettings
from processor.settings.secrets import SecretValue, client_secrets
from processor.telemetry.logs import register_secret

REQUEST_TIMEOUT_S = 15.0
ANSWER_CAP_BYTES = 262_144
"""A token has about 1 to 4 KB."""

BACKGROUND_PAUSE_S = 5.0
BACKGROUND_PAUSE_MAX_S = 60.0

Outcome = Literal["bought", "away", "refused"]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Attributes:
        value: what follows ``Bearer``; hidden in the repr.
        generation: 1 for the first token bought, one more for each later one.
        expires_at_s: monotonic time of its end, in seconds.
    """

    value: str = field(repr=False)
    generation: int
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """What may be told about the token: nothing secret.

    Attributes:
        generation: of the token in use; 0 before the first.
        expires_in_s: seconds it has left; `None` without a usable one.
        secret: name of the setting whose secret IMS accepted last; `None` before the first.
        refreshing: a request for a token is under way.
        problem: why the last request for a token failed; ``""`` when it did not.
        unit: in which IMS gave the lifetime of the last token; `None` when it did not say.
    """

    generation: int
    expires_in_s: float | None
    secret: str | None
    refreshing: bool
    problem: str
    unit: Unit | None = None


class ImsTokens:
    """Buys tokens and shares them: IMS sees one request at a time, however many wait.

    A token is replaced in the background `refresh_early_s` before its end, or at half of its
    lifetime when that is later, and goes on being used meanwhile; so IMS may be away for minutes
    without anybody noticing. There is no retry here: the caller paces its attempts. Only a
    background attempt that failed is not repeated at once (5 s, doubling up to 60 s, or as
    ``Retry-After`` asks).

    When IMS refuses the secret, its file is read again, then the next secret is tried; the secret
    that worked is tried first the next time. So a secret is rotated without a restart.

    Args:
        settings: the table ``[ims]``.
        transport: instead of real connections, in tests.
        clock: monotonic seconds; the wall clock may jump.
        on_token: told every token, so that logs can mask it.
        on_refresh: told the outcome of every request for a token.

    Raises:
        Misconfigured: the token URL is not safe, or `client_id`, proxy or CA file is unusable.

    Source: domain facts 5 (IMS, rotation).
    """

    def __init__(
        self,
        settings: ImsSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_token: Callable[[str], None] = register_secret,
        on_refresh: Callable[[Outcome], None] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self._url = checked_url(
            settings.token_url, key="ims.token_url", allow_http=settings.allow_http
        )
        self._client_id = checked_header(settings.client_id, key="ims.client_id")
        self._scope = settings.scope_separator.join(settings.scopes)
        self._refresh_early_s = settings.refresh_early_s
        self._client = open_client(
            ca_file=settings.ca_file, proxy=settings.proxy, transport=transport
        )
        self._clock = clock
        self._on_token = on_token
        self._on_refresh = on_refresh or _untold
        self._timeout_s = timeout_s
        self._secrets = client_secrets(settings)
        self._working_secret: str | None = None
        self._token: Token | None = None
        self._generation = 0
        self._refused_generation = 0
        self._refresh_at_s = 0.0
        self._failures = 0
        self._problem = ""
        self._unit: Unit | None = None
        self._flight: asyncio.Task[Token] | None = None

    async def token(self) -> Token:
        """The token in use, or a new one when there is none that can be used.

        Raises:
            TryAgain: IMS is away and there is no usable token (reason ``ims``).
            Misconfigured: IMS refuses our credentials or the request (reason ``ims``).
        """
        token = self._usable()
        if token is None:
            # Shielded: one waiter that gives up does not take the token from the others.
            return await asyncio.shield(self._buying())
        if self._clock() >= self._refresh_at_s:
            self._buying()
        return token

    def refused(self, token: Token) -> None:
        """Experience Platform answered 401 or 403 to this token: do not use it again.

        Of many requests that met a refusal with the same token, one makes us buy a new one; a
        token that has been replaced already changes nothing.
        """
        self._refused_generation = max(self._refused_generation, token.generation)

    def status(self) -> TokenStatus:
        """What may be told about the token."""
        token = self._usable()
        return TokenStatus(
            generation=self._generation,
            expires_in_s=None if token is None else token.expires_at_s - self._clock(),
            secret=self._working_secret,
            refreshing=self._flight is not None,
            problem=self._problem,
            unit=self._unit,
        )

    async def aclose(self) -> None:
        """Give up a request under way and close the connections."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])
        await self._client.aclose()

    def _usable(self) -> Token | None:
        token = self._token
        if token is None or token.generation <= self._refused_generation:
            return None
        return token if self._clock() < token.expires_at_s else None

    def _buying(self) -> asyncio.Task[Token]:
        if self._flight is None:
            self._flight = asyncio.create_task(self._buy(), name="ims-token")
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: asyncio.Task[Token]) -> None:
        self._flight = None
        error = None if flight.cancelled() else flight.exception()
        if not flight.cancelled() and error is None:
            self._failures = 0
            self._problem = ""
            self._on_refresh("bought")
            return
        # Of a background refresh nobody else sees the error.
        self._problem = str(error) if error is not None else "given up"
        self._failures += 1
        pause_s = min(BACKGROUND_PAUSE_MAX_S, BACKGROUND_PAUSE_S * 2 ** min(10, self._failures - 1))
        if isinstance(error, TryAgain) and error.retry_after_s is not None:
            pause_s = max(pause_s, error.retry_after_s)
        self._refresh_at_s = self._clock() + pause_s
        if error is not None:
            self._on_refresh("refused" if isinstance(error, Misconfigured) else "away")

    async def _buy(self) -> Token:
        # Read before asking: the lifetime counts from some moment before the answer arrives.
        asked_at_s = self._clock()
        granted = await self._granted()
        self._on_token(granted.token)
        self._generation += 1
        self._unit = granted.unit
        early_s = min(self._refresh_early_s, granted.lifetime_s / 2)
        self._refresh_at_s = asked_at_s + granted.lifetime_s - early_s
        self._token = Token(granted.token, self._generation, asked_at_s + granted.lifetime_s)
        return self._token

    async def _granted(self) -> Granted:
        """Ask with each secret once, and with one that changed meanwhile once more."""
        tried: set[str] = set()
        refusal = ""
        for name, secret in self._candidates():
            while (value := _read_or_none(secret)) is not None and value not in tried:
                tried.add(value)
                answer = await self._ask(value)
                if isinstance(answer, Granted):
                    self._working_secret = name
                    return answer
                refusal = answer.why
        if not tried:
            for secret in self._secrets.values():
                secret.read()  # says what is wrong with it
            raise Misconfigured(
                "ims.client_secret is not set, or changed while it was read.", reason="ims"
            )
        raise Misconfigured(
            f"Adobe IMS refuses the client secret ({refusal}).",
            mend="Put a valid secret into ims.client_secret or ims.client_secret_next (or their"
            " files); it is read again at every attempt.",
            reason="ims",
        )

    def _candidates(self) -> Iterator[tuple[str, SecretValue]]:
        ordered = sorted(self._secrets, key=lambda name: name != self._working_secret)
        yield from ((name, self._secrets[name]) for name in ordered)

    async def _ask(self, secret: str) -> Granted | SecretRefused:
        request = self._client.build_request(
            "POST",
            self._url,
            data={
                "grant_type": "client_credentials",
                "client_id": self._client_id,
                "client_secret": secret,
                "scope": self._scope,
            },
        )
        answer = await exchange(
            self._client, request, timeout_s=self._timeout_s, cap_bytes=ANSWER_CAP_BYTES
        )
        if isinstance(answer, NoReply):
            raise _no_reply(answer)
        return read_ims_answer(answer, datetime.now(UTC))


def _untold(_outcome: Outcome) -> None:
    """Nobody wants to know."""


def _read_or_none(secret: SecretValue) -> str | None:
    try:
        return secret.read()
    except Misconfigured:
        return None


def _no_reply(answer: NoReply) -> TryAgain | Misconfigured:
    if answer.kind in {"tls", "proxy"}:
        return Misconfigured(
            f"Adobe IMS cannot be reached: {answer.why}.",
            mend="Check ims.token_url, ims.ca_file and ims.proxy.",
            reason="ims",
        )
    return TryAgain(f"Adobe IMS gave no answer: {answer.why}.", reason="ims")
