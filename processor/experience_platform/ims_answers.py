"""What an answer of Adobe IMS means: a token, a refused secret, or a failure (pure)."""

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal

import orjson

from processor.errors import Misconfigured, TryAgain
from processor.experience_platform.exchange import Reply
from processor.experience_platform.retry_after import retry_after_s

MILLISECONDS_ABOVE = 1_000_000
"""`/ims/token/v3` gives seconds (86399), `/ims/token` milliseconds (86399994); no token lives for
a million seconds."""

MAX_LIFETIME_S = 86_400.0
"""Adobe's tokens live for 24 hours; a longer life is not believed."""

UNKNOWN_LIFETIME_S = 300.0
"""When IMS does not say how long: a refusal would have the token replaced anyway."""

MIN_LIFETIME_S = 1.0

_TOKEN = re.compile(r"[!-~]{1,65536}")
_ERROR_CODES = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
_PASSING_ERROR_CODES = frozenset({"server_error", "temporarily_unavailable"})
_SUCCESS = range(200, 300)
_REDIRECTION = range(300, 400)
_REFUSAL = range(400, 500)
_OF_THE_MOMENT = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
_WRONG_ADDRESS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


Unit = Literal["s", "ms"]


@dataclass(frozen=True, slots=True)
class Granted:
    """IMS gave a token.

    Attributes:
        lifetime_s: seconds from now, between 1 and 86,400.
        unit: in which ``expires_in`` was taken to be; `None` when it said nothing usable.
    """

    token: str = field(repr=False)
    lifetime_s: float
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class SecretRefused:
    """IMS does not accept this secret; another one may be accepted.

    Attributes:
        why: HTTP status and IMS's error code.
    """

    why: str


def read_ims_answer(reply: Reply, now: datetime) -> Granted | SecretRefused:
    """Say what an answer of IMS means.

    Args:
        reply: the answer.
        now: aware, for a ``Retry-After`` that is a date.

    Raises:
        TryAgain: IMS is away, or its answer cannot be read (reason ``ims``).
        Misconfigured: client id, scopes or token URL are refused (reason ``ims``). Neither ever
            quotes the answer, which may echo what was sent.
    """
    status = reply.status
    if status in _REDIRECTION or status in _WRONG_ADDRESS:
        raise Misconfigured(
            f"Adobe IMS answered {status}; redirects are not followed with credentials.",
            mend="Check ims.token_url.",
            reason="ims",
        )
    if status in _OF_THE_MOMENT or (status not in _SUCCESS and status not in _REFUSAL):
        raise TryAgain(
            f"Adobe IMS answered {status}.",
            reason="ims",
            retry_after_s=retry_after_s(reply.headers, now),
        )
    document = _document(reply)
    error = document.get("error")
    if status in _SUCCESS and error is None:
        return _granted(document)
    return _refusal(status, error, document.get("error_description"))


def lifetime_s(expires_in: object) -> float:
    """Seconds that a token lives, from ``expires_in`` in seconds or milliseconds.

    Args:
        expires_in: a number, or one as text; above 1,000,000 it is milliseconds.

    Returns:
        Between 1 and 86,400 seconds; 300 when it is missing, no number, zero or negative.
    """
    given = _number(expires_in)
    if given is None:
        return UNKNOWN_LIFETIME_S
    seconds = given / 1000 if given > MILLISECONDS_ABOVE else given
    return min(MAX_LIFETIME_S, max(MIN_LIFETIME_S, seconds))


def lifetime_unit(expires_in: object) -> Unit | None:
    """The unit in which :func:`lifetime_s` understands ``expires_in``; `None`: it has no use."""
    given = _number(expires_in)
    if given is None:
        return None
    return "ms" if given > MILLISECONDS_ABOVE else "s"


def _number(expires_in: object) -> float | None:
    """A finite number above zero; `None` for anything else."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float | str):
        return None
    try:
        given = float(expires_in)
    except (ValueError, OverflowError):
        return None
    return given if math.isfinite(given) and given > 0 else None


def _document(reply: Reply) -> dict[str, Any]:
    try:
        document = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        return document
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # A proxy or a gateway may refuse without OAuth's words; the secret is the likely reason.
        return {"error": "invalid_client"}
    why = reply.fault or "the body is no JSON object"
    raise TryAgain(f"Adobe IMS answered {reply.status} unreadably: {why}.", reason="ims")


def _granted(document: dict[str, Any]) -> Granted:
    token = document.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise TryAgain("Adobe IMS answered without a usable access_token.", reason="ims")
    expires_in = document.get("expires_in")
    return Granted(token, lifetime_s(expires_in), lifetime_unit(expires_in))


def _refusal(status: int, error: object, description: object) -> SecretRefused:
    if isinstance(error, str) and error in _PASSING_ERROR_CODES:
        raise TryAgain(f"Adobe IMS answered {status} {error}.", reason="ims")
    code = error if isinstance(error, str) and error in _ERROR_CODES else "unknown error"
    about_client_id = isinstance(description, str) and "client_id" in description
    if code == "invalid_client" and not about_client_id:
        return SecretRefused(f"{status} {code}")
    what = {
        "invalid_client": "Check ims.client_id.",
        "invalid_scope": "Check ims.scopes and ims.scope_separator.",
        "unauthorized_client": "Add OAuth server-to-server to the project that owns ims.client_id.",
    }
    raise Misconfigured(
        f"Adobe IMS refuses the request for a token ({status} {code}).",
        mend=what.get(code, "Check ims.client_id, ims.scopes and ims.token_url."),
        reason="ims",
    )
