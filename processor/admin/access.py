"""Who may do what over HTTP: roles by token, this machine without one, and nobody else.

Without a token file, only this machine may look, pause and resume. With one, every request needs a
token. The decision belongs to the route that answers, never to a URL that is put together again.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from processor.admin.forms import form_of
from processor.admin.sessions import COOKIE, CSRF_FIELD, CSRF_HEADER, Session, Sessions
from processor.errors import Misconfigured
from processor.settings import AdminSettings, SecretValue
from processor.settings.checks import is_loopback
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

SHORT = 16
SAFE = frozenset({"GET", "HEAD"})
_SAME_SITE = frozenset({"same-origin", "none"})


class Role(IntEnum):
    """What a token lets its holder do; each may what the one before may."""

    VIEW = 1
    REPLAY = 2
    ADMIN = 3


class _Needs(NamedTuple):
    role: Role | None
    from_loopback: bool


class Need(Enum):
    """What a route asks of its caller.

    Source: interface.md, "HTTP": reads, pause and resume from loopback only; offsets, replay,
    discard and reveal need a token even there.
    """

    NOTHING = _Needs(None, from_loopback=True)
    LOOK = _Needs(Role.VIEW, from_loopback=True)
    STEER = _Needs(Role.ADMIN, from_loopback=True)
    """Pause and resume."""
    REPLAY = _Needs(Role.REPLAY, from_loopback=False)
    """Replay and discard; to see values that are masked for others needs `ADMIN`."""
    ADMIN = _Needs(Role.ADMIN, from_loopback=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as we know.

    Attributes:
        role: of the token; `None` without one, which is this machine or a route for everybody.
        session: of a browser that has logged in.
    """

    role: Role | None = None
    session: Session | None = None

    @property
    def name(self) -> str:
        """For the log."""
        return self.role.name.lower() if self.role is not None else "without a token"

    @property
    def csrf(self) -> str:
        """What a page puts into its forms; empty when nothing is needed."""
        return self.session.csrf if self.session is not None else ""

    def may(self, need: Need) -> bool:
        """Whether a route that needs this would let the caller in; for what a page shows."""
        if need.value.role is None:
            return True
        if self.role is None:
            return need.value.from_loopback
        return self.role >= need.value.role


class Denied(HTTPException):
    """401: the token is missing or wrong; 403: whoever asks may not do this."""

    def __init__(self, status_code: int, detail: str) -> None:
        headers = {"www-authenticate": "Bearer"} if status_code == 401 else None  # noqa: PLR2004
        super().__init__(status_code, detail, headers)


class Access:
    """Lets callers in, or not.

    Args:
        settings: name the files of the tokens, which are read again when they change.
    """

    def __init__(self, settings: AdminSettings, sessions: Sessions | None = None) -> None:
        files = {
            Role.VIEW: (settings.view_token_file, "admin.view_token"),
            Role.REPLAY: (settings.replay_token_file, "admin.replay_token"),
            Role.ADMIN: (settings.token_file, "admin.token"),
        }
        self._tokens = {
            role: SecretValue(None, file, key=key)
            for role, (file, key) in files.items()
            if file is not None
        }
        self.sessions = Sessions() if sessions is None else sessions

    @property
    def by_token(self) -> bool:
        """Whether tokens decide, and not the address."""
        return bool(self._tokens)

    def check(self) -> None:
        """See that every token can be read.

        Raises:
            Misconfigured: one cannot, or two roles have the same.
        """
        seen: dict[str, Role] = {}
        for role, secret in self._tokens.items():
            token = secret.read()
            if token in seen:
                raise Misconfigured(
                    f"admin: the tokens for {seen[token].name.lower()} and {role.name.lower()} "
                    "are the same.",
                    mend="Give each role a token of its own.",
                )
            seen[token] = role
            if len(token) < SHORT:
                log.warning("A token of the admin server is short.", role=role.name.lower())
            if secret.is_exposed():
                log.warning("Everybody on this host can read a token file.", role=role.name.lower())

    async def admit(self, request: Request, need: Need) -> Caller:
        """Let a caller in.

        Raises:
            Denied: the caller may not do this, or does not say who they are.
        """
        if need.value.role is None:
            return Caller()
        if request.method not in SAFE:
            refuse_other_sites(request)
        if not self.by_token:
            return _of_this_machine(request, need)
        caller = self.caller(request)
        if caller is None:
            raise Denied(401, "A valid token is needed: Authorization: Bearer <token>.")
        if caller.role is None or caller.role < need.value.role:
            raise Denied(403, f"This needs the role {need.value.role.name.lower()}.")
        if caller.session is not None and request.method not in SAFE:
            await _refuse_foreign_forms(request, caller.session)
        return caller

    def may_look(self, request: Request) -> bool:
        """Whether the request would be let in to look; for routes that tell others less."""
        if self.by_token:
            return self.caller(request) is not None
        return _is_of_this_machine(request)

    def caller(self, request: Request) -> Caller | None:
        """Who the request's token or session says it is; `None`: nobody that we know."""
        given = request.headers.get("authorization")
        if given is not None:
            role = self.role_of(_token_in(given))
            return None if role is None else Caller(role)
        session = self.sessions.find(request.cookies.get(COOKIE, ""))
        if session is None:
            return None
        # The token may have been changed since: then whoever logged in with it is out.
        role = self._role_of_digest(session.token_digest)
        return None if role is None else Caller(role, session)

    def role_of(self, token: str) -> Role | None:
        """What this token lets its holder do; `None`: nothing."""
        return self._role_of_digest(digest(token)) if token else None

    def _role_of_digest(self, given: bytes) -> Role | None:
        found = None
        for role, secret in self._tokens.items():  # all of them, however early one fits
            try:
                expected = digest(secret.read())
            except Misconfigured as error:
                log.error("A token cannot be read.", role=role.name.lower(), cause=str(error))  # noqa: TRY400 - a sentence says it
                continue
            if hmac.compare_digest(given, expected) and found is None:
                found = role
        return found


def digest(token: str) -> bytes:
    """What is compared and kept in place of a token: of one length, and no way back."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _token_in(header: str) -> str:
    """The token in ``Bearer <token>``, or in the password of ``Basic``; empty: there is none.

    Clients of Kafka Connect know Basic; the user's name says nothing here.
    """
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        decoded = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded.partition(":")[2]


def _of_this_machine(request: Request, need: Need) -> Caller:
    """Without tokens: only this machine, asked by a name of its own (else: DNS rebinding)."""
    if not _is_of_this_machine(request):
        raise Denied(
            403,
            "Without a token file only this machine is answered, asked as localhost or 127.0.0.1.",
        )
    if not need.value.from_loopback:
        raise Denied(403, "This needs a token even here: set admin.token_file.")
    return Caller()


def _is_of_this_machine(request: Request) -> bool:
    client = request.client.host if request.client is not None else ""
    return is_loopback(client) and is_loopback(_host_name(request))


def _host_name(request: Request) -> str:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def refuse_other_sites(request: Request) -> None:
    """A browser says which page sends a request; only our own may change anything.

    Raises:
        Denied: another page sends it.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    foreign = site is not None and site not in _SAME_SITE
    if origin is not None and not foreign:
        try:
            foreign = urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
        except ValueError:
            foreign = True
    if foreign:
        raise Denied(403, "Another site may not do this.")


async def _refuse_foreign_forms(request: Request, session: Session) -> None:
    given = request.headers.get(CSRF_HEADER) or (await form_of(request)).get(CSRF_FIELD, "")
    if not hmac.compare_digest(digest(given), digest(session.csrf)):
        raise Denied(403, "The form is too old, or not ours; load the page again.")
