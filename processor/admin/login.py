"""Logging in with a browser: a token once, then a cookie that no script or other site can use."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from processor.admin.access import Access, Denied, Need, digest, refuse_other_sites
from processor.admin.answers import HEADERS
from processor.admin.forms import form_of
from processor.admin.routes import AdminRoute
from processor.admin.sessions import COOKIE, LIFE_S
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

SEE_OTHER = 303


class Login:
    """``POST /login`` with the fields ``token`` and ``next``, and ``POST /logout``."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> list[AdminRoute]:
        """What can be asked for; whoever asks has to show a token here."""
        return [
            AdminRoute("POST", "/login", Need.NOTHING, self._login),
            AdminRoute("POST", "/logout", Need.NOTHING, self._logout),
        ]

    async def _login(self, request: Request) -> Response:
        refuse_other_sites(request)
        if not self._access.by_token:
            raise HTTPException(404)
        fields = await form_of(request)
        token = fields.get("token", "").strip()
        role = self._access.role_of(token)
        client = request.client.host if request.client is not None else ""
        if role is None:
            log.warning("A login with a wrong token.", client=client)
            raise Denied(401, "No token of this connector.")
        log.info("A browser has logged in.", role=role.name.lower(), client=client)
        answer = RedirectResponse(local(fields.get("next", "/")), SEE_OTHER, headers=HEADERS)
        answer.set_cookie(
            COOKIE,
            self._access.sessions.open(digest(token)),
            max_age=LIFE_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def _logout(self, request: Request) -> Response:
        refuse_other_sites(request)
        self._access.sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/", SEE_OTHER, headers=HEADERS)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


def local(target: str) -> str:
    """A path of ours to go on to; whatever could lead to another site becomes ``/``."""
    printable = target.isascii() and target.isprintable()
    safe = printable and target.startswith("/") and not target.startswith("//")
    return target if safe and "\\" not in target else "/"
