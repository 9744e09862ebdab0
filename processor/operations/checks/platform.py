"""Preflight of Adobe: the clock, a token, and every inlet; nothing is ingested."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from processor.errors import ProcessorError
from processor.experience_platform.answers import (
    Answer,
    Away,
    RequestRefused,
    ServerError,
    SetupFault,
    TokenRefused,
)
from processor.experience_platform.client import Collection
from processor.experience_platform.exchange import NoReply, exchange, open_client
from processor.experience_platform.ims import ImsTokens, Token, TokenStatus
from processor.operations.auth_status import NEXT, next_secret, setting_of
from processor.operations.checks.finding import Finding, bad, bad_by, ok, skipped, warning
from processor.operations.checks.organisation import organisation
from processor.settings import (
    ExperiencePlatformSettings,
    ImsSettings,
    Settings,
    client_secrets,
)

TIMEOUT_S = 10.0
SKEW_WARNING_S = 30.0
SKEW_BAD_S = 300.0
"""Beyond it, events of now lie in Adobe's future, which it refuses (domain facts 3.9)."""

NO_MESSAGES = b'{"messages":[]}'
"""What an inlet is asked: it proves address, inlet and token, and holds nothing to store.

Organisation, dataset and schema stand in each message: see `organisation`.
"""
_ANSWER_CAP_BYTES = 65_536


async def check_platform(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Finding]:
    """Look at everything of Adobe's that the connector needs.

    Args:
        settings: where it is and who we are.
        transport: instead of real connections, in tests.
        now: this host's clock.
    """
    yield await _clock(settings.experience_platform, transport, now)
    findings, token = await _token(settings.ims, transport)
    for finding in findings:
        yield finding
    if token is None:
        for name in settings.experience_platform.targets:
            yield skipped(f"target {name}", "Its inlet cannot be asked without a token.")
        return
    async for finding in _inlets(settings, token, transport):
        yield finding


async def _clock(
    platform: ExperiencePlatformSettings,
    transport: httpx.AsyncBaseTransport | None,
    now: Callable[[], datetime],
) -> Finding:
    """How far our clock is from the Date header of Experience Platform's answer to a plain GET."""
    try:
        client = open_client(ca_file=platform.ca_file, proxy=platform.proxy, transport=transport)
    except ProcessorError as error:
        return bad_by("endpoint", error)
    async with client:
        request = client.build_request("GET", platform.endpoint)
        reply = await exchange(client, request, timeout_s=TIMEOUT_S, cap_bytes=_ANSWER_CAP_BYTES)
    if isinstance(reply, NoReply):
        return bad(
            "endpoint",
            f"{platform.endpoint} cannot be reached: {reply.why}.",
            "Check experience_platform.endpoint, its proxy and ca_file, and the network.",
        )
    try:
        theirs = parsedate_to_datetime(reply.headers["date"])
    except (KeyError, ValueError):
        return skipped("clock", "Experience Platform does not say what time it is.")
    return _skew((now() - theirs.replace(tzinfo=theirs.tzinfo or UTC)).total_seconds())


def _skew(ahead_s: float) -> Finding:
    if abs(ahead_s) < SKEW_WARNING_S:
        return ok("clock", "agrees with Experience Platform's")
    where = "ahead of" if ahead_s > 0 else "behind"
    return Finding(
        "clock",
        "bad" if abs(ahead_s) >= SKEW_BAD_S else "warning",
        f"This host's clock is {abs(ahead_s):.0f} s {where} Experience Platform's.",
        "Set it by NTP.",
    )


async def _token(
    settings: ImsSettings, transport: httpx.AsyncBaseTransport | None
) -> tuple[list[Finding], Token | None]:
    """Buy a token as the connector does, and one more with the secret that it did not use."""
    mend = "Check ims.token_url, its proxy and ca_file, and the network."
    try:
        tokens = ImsTokens(settings, transport=transport, timeout_s=TIMEOUT_S)
    except ProcessorError as error:
        return [bad_by("token", error, mend)], None
    try:
        token = await tokens.token()
    except ProcessorError as error:
        return [bad_by("token", error, mend)], None
    finally:
        await tokens.aclose()
    status = tokens.status()
    return [_bought(settings, status), *await _next(settings, status, transport)], token


def _bought(settings: ImsSettings, status: TokenStatus) -> Finding:
    used = setting_of(settings, status.secret or "client_secret")
    if status.secret == NEXT:
        return warning(
            "token",
            f"IMS refuses the first secret, and gave one for {used}.",
            "Put that secret in the place of the first one, and a new one in its own.",
        )
    return ok("token", f"IMS gave one for {used}")


async def _next(
    settings: ImsSettings, status: TokenStatus, transport: httpx.AsyncBaseTransport | None
) -> list[Finding]:
    """Whether the next secret works, before the first one is revoked."""
    if NEXT not in client_secrets(settings) or status.secret == NEXT:
        return []
    try:
        found = await next_secret(settings, status, transport, asked=True)
    except ProcessorError as error:
        return [bad_by("next secret", error)]
    if found.works:
        return [ok("next secret", f"IMS gave a token for {found.setting}, too")]
    return [
        warning(
            "next secret",
            f"{found.problem} The connector runs with the first one until that is revoked.",
            "Put a valid secret there; `processor auth status --try-next` tries it again.",
        )
    ]


async def _inlets(
    settings: Settings, token: Token, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[Finding]:
    timeout_s = min(settings.delivery.request_timeout_s, TIMEOUT_S)
    delivery = settings.delivery.model_copy(update={"request_timeout_s": timeout_s})
    platform = settings.experience_platform
    try:
        collection = Collection(
            platform, delivery, client_id=settings.ims.client_id, transport=transport
        )
    except ProcessorError as error:
        yield bad_by("endpoint", error)
        return
    try:
        for name, target in platform.targets.items():
            # Read as the answer to one message: how many verdicts none would get, nobody says.
            finding = _inlet(name, await collection.post(name, NO_MESSAGES, sent=1, token=token))
            yield finding
            if finding.status == "ok":
                yield await organisation(collection, platform, name, target, token)
    finally:
        await collection.aclose()


def _inlet(name: str, answer: Answer) -> Finding:
    subject = f"target {name}"
    match answer:
        case TokenRefused(status=status):
            return bad(
                subject,
                f"Its inlet refuses the token ({status}).",
                "Check that ims.client_id belongs to experience_platform.org_id, and that its "
                "product profile covers the sandbox.",
            )
        case SetupFault(message=message, mend=mend):
            return bad(subject, message, mend)
        case Away(status=None):
            return bad(subject, "Its inlet cannot be reached.", "Check the network and the proxy.")
        case Away(status=status):
            return bad(subject, f"Its inlet takes no requests now ({status}).", "Try again later.")
        case ServerError(status=status):
            return warning(
                subject,
                f"Its inlet answered {status} to no messages.",
                "See whether real messages pass; ask Adobe with the time of this line.",
            )
        case RequestRefused(error=error):
            refused = f"and refuses a request without messages ({error.http_status}), as it should"
            return ok(subject, f"its inlet answers {refused}")
        case _:
            return ok(subject, "its inlet answers")
