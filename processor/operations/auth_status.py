"""Asks Adobe IMS for a token once, and says with which secret it was bought; never its value."""

from dataclasses import asdict, dataclass
from typing import Any

import httpx

from processor.errors import Misconfigured
from processor.experience_platform.ims import ImsTokens, TokenStatus
from processor.experience_platform.ims_answers import Unit
from processor.settings import ImsSettings, client_secrets

TIMEOUT_S = 8.0
"""For one answer of IMS; a person waits for it."""

NEXT = "client_secret_next"


@dataclass(frozen=True, slots=True)
class NextSecret:
    """The secret that comes after the one in use.

    Attributes:
        setting: where it stands; `None` when none is set.
        works: whether IMS gave a token for it; `None`: it was not asked.
        problem: why it did not; ``""`` when it did, or was not asked.
    """

    setting: str | None
    works: bool | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AuthStatus:
    """What may be told about the credentials: nothing secret.

    Attributes:
        secret: the setting whose secret IMS accepted; `None`: it accepted none.
        expires_in_s: seconds that the token has left, as the connector would count them.
        unit: in which IMS was understood to give its lifetime; `None`: it gave none of use.
        problem: why IMS gave no token; ``""`` when it did.
        next: the secret that comes after it.
    """

    token_url: str
    scopes: tuple[str, ...]
    scope_separator: str
    secret: str | None
    expires_in_s: int | None
    unit: Unit | None
    problem: str
    next: NextSecret

    @property
    def good(self) -> bool:
        """Whether everything that was tried works."""
        return self.secret is not None and self.next.works is not False

    def document(self) -> dict[str, Any]:
        """The status as JSON shows it."""
        return {"verdict": "accepted" if self.secret else "refused", **asdict(self)}


async def auth_status(
    settings: ImsSettings,
    *,
    try_next: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AuthStatus:
    """Buy one token as the connector does: with the secret, and where IMS refuses it the next one.

    Args:
        settings: the table ``[ims]``.
        try_next: buy another token with the next secret, which proves it.
        transport: instead of real connections, in tests.

    Raises:
        TryAgain: IMS is away.
        Misconfigured: the settings cannot be used, or hold no secret that can be read.
    """
    status, problem = await _bought(settings, transport)
    return AuthStatus(
        token_url=settings.token_url,
        scopes=tuple(settings.scopes),
        scope_separator=settings.scope_separator,
        secret=setting_of(settings, status.secret) if status.secret and not problem else None,
        expires_in_s=None if status.expires_in_s is None else int(status.expires_in_s),
        unit=status.unit,
        problem=problem,
        next=await next_secret(settings, status, transport, asked=try_next),
    )


async def next_secret(
    settings: ImsSettings,
    status: TokenStatus,
    transport: httpx.AsyncBaseTransport | None,
    *,
    asked: bool,
) -> NextSecret:
    """How the secret is that comes after the one in use.

    Args:
        settings: the table ``[ims]``.
        status: after a token was bought, or refused.
        transport: instead of real connections, in tests.
        asked: buy a token with it, which proves it.

    Raises:
        TryAgain: IMS is away.
    """
    if NEXT not in client_secrets(settings):
        problem = "No next secret is set." if asked else ""
        return NextSecret(None, False if asked else None, problem)
    setting = setting_of(settings, NEXT)
    if status.secret == NEXT:
        return NextSecret(setting, works=True)
    if not asked:
        return NextSecret(setting)
    alone = settings.model_copy(
        update={
            "client_secret": settings.client_secret_next,
            "client_secret_file": settings.client_secret_next_file,
            "client_secret_next": None,
            "client_secret_next_file": None,
        }
    )
    try:
        _, problem = await _bought(alone, transport)
    except Misconfigured as error:  # it cannot be read; its words name the first secret's setting
        problem = f"{setting} cannot be used: {error.args[0].partition(': ')[2] or error.args[0]}"
    return NextSecret(setting, not problem, problem)


async def _bought(
    settings: ImsSettings, transport: httpx.AsyncBaseTransport | None
) -> tuple[TokenStatus, str]:
    """Ask for a token; what is known then, and IMS's refusal in our words."""
    tokens = ImsTokens(settings, transport=transport, timeout_s=TIMEOUT_S)
    try:
        await tokens.token()
    except Misconfigured as error:
        if error.reason != "ims":
            raise
        return tokens.status(), str(error)
    finally:
        await tokens.aclose()
    return tokens.status(), ""


def setting_of(settings: ImsSettings, name: str) -> str:
    """The dotted name of the setting that holds a secret."""
    from_file = getattr(settings, f"{name}_file") is not None
    return f"ims.{name}_file" if from_file else f"ims.{name}"
