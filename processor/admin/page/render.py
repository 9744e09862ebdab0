"""Renders the pages, with the headers that keep what they show where it is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

import processor
from processor.admin.access import Caller, Need
from processor.admin.page import words

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SAFE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # without any, a form of ours would name no origin
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
SEE_OTHER = 303
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
STATUS_TITLES = {
    400: "That was not understood",
    401: "Log in first",
    403: "Not allowed",
    404: "Not found",
    409: "Not now",
    429: "Too many at once",
    503: "Not available now",
}


def wants_page(request: Request) -> bool:
    """Whether a browser asks, and not a program; ``*/*`` is a program, unless it is htmx."""
    return "text/html" in request.headers.get("accept", "").lower() or (
        request.headers.get("hx-request") == "true"
    )


class Pages:
    """The templates, and what all of them show.

    Args:
        name: the connector's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._environment = Environment(
            loader=PackageLoader("processor.admin.page"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=words.shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "number": words.number,
            "span": words.span,
            "utc": words.utc,
            "ago": words.ago,
            "as_json": words.as_json,
            "lines": words.lines,
        }
        self._environment.globals |= {"path": words.path, "counted": words.counted, "Need": Need}

    def page(
        self, request: Request, template: str, *, status: int = 200, **context: Any
    ) -> Response:
        """A page, rendered for whoever asks."""
        caller: Caller = getattr(request.state, "caller", None) or Caller()
        text = self._environment.get_template(template).render(
            connector=self._name,
            version=processor.__version__,
            visitor=caller,
            here=request.url.path,
            now=datetime.now(UTC).isoformat(),
            **context,
        )
        return HTMLResponse(text, status_code=status, headers=SAFE_HEADERS)

    def error(self, request: Request, status: int, detail: str) -> Response:
        """A page that says why there is no other."""
        title = STATUS_TITLES.get(status, "That went wrong")
        return self.page(
            request, "error.html", status=status, title=title, detail=detail, code=status
        )


def document(content: Any, status: int = 200) -> Response:
    """The same for programs."""
    return JSONResponse(
        content,
        status_code=status,
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


def go_to(place: str, request: Request) -> Response:
    """Send the browser to another page of ours; htmx, which asked for a part of one, likewise."""
    if request.headers.get("hx-request") == "true":
        return Response(headers={**SAFE_HEADERS, "hx-redirect": place})
    return RedirectResponse(place, SEE_OTHER, headers=SAFE_HEADERS)


class Static:
    """The few files that the pages need, read once; nothing else can be asked for."""

    def __init__(self) -> None:
        folder = resources.files("processor.admin.page") / "static"
        self._files: Mapping[str, bytes] = {
            file.name: file.read_bytes()
            for file in folder.iterdir()
            if file.is_file() and file.name.endswith(tuple(TYPES))
        }

    async def answer(self, request: Request) -> Response:
        """A file by its name."""
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            return document({"error_code": 404, "message": "There is no such file."}, 404)
        kind = next(kind for ending, kind in TYPES.items() if name.endswith(ending))
        headers = {**SAFE_HEADERS, "cache-control": "max-age=300"}
        return Response(content, media_type=kind, headers=headers)
