"""Dead letters: by kind of failure, those of one kind, one of them, and discarding some."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.forms import form_of
from processor.admin.page.asking import (
    SPANS,
    ask,
    asked_of,
    cursor,
    place_of,
    query_of,
    who,
)
from processor.admin.page.render import Pages, document, wants_page
from processor.admin.routes import AdminRoute
from processor.operations.desk import letters, replays
from processor.operations.desk.apart import Desk
from processor.operations.desk.letters import Asked, Kinds, Letters, Place
from processor.operations.desk.replays import Wanted
from processor.operations.letters.meant import RESOLUTIONS
from processor.record import Position

ROOT = "/dead-letters"
COUNT_S = 60.0
"""Counting all of a million letters takes about ten seconds."""

REASON_CHARACTERS = 1_000


class DeadLetters:
    """Answers about dead letters."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    def routes(self) -> list[AdminRoute]:
        """What it answers, and what each asks of the caller."""
        one = ROOT + "/{topic}/{partition}/{offset}"
        return [
            AdminRoute("GET", ROOT, Need.LOOK, self.overview),
            AdminRoute("GET", one, Need.LOOK, self.show),
            AdminRoute("POST", f"{one}/reveal", Need.ADMIN, self.reveal),
            AdminRoute("POST", f"{ROOT}/discard", Need.REPLAY, self.discard),
        ]

    async def overview(self, request: Request) -> Response:
        """Kinds of failure; with a fingerprint or a code the letters, the newest first."""
        asked = asked_of(request.query_params)
        if asked.fingerprint or asked.code or request.query_params.get("view") == "list":
            return await self._list(request, asked)
        kinds: Kinds = await ask(self._desk, letters.kinds, asked, timeout_s=COUNT_S)
        if not wants_page(request):
            return document({"kinds": kinds.rows, **_counted(kinds)})
        return self._pages.page(
            request,
            "kinds.html",
            title="Dead letters",
            kinds=kinds,
            largest=max((row["count"] for row in kinds.rows), default=1),
            everything=link(query_of(asked, everything="yes")),
            as_list=link(query_of(asked, view="list")),
            link=link,
            **self._choices(asked),
        )

    async def _list(self, request: Request, asked: Asked) -> Response:
        found: Letters = await ask(self._desk, letters.letters, asked)
        after = cursor(found.before)
        if not wants_page(request):
            return document({"letters": found.rows, "before": after, "cut": found.cut})
        view = {} if asked.fingerprint or asked.code else {"view": "list"}
        return self._pages.page(
            request,
            "letters.html",
            title="Dead letters of one kind" if asked.fingerprint else "Dead letters",
            found=found,
            older=link({**query_of(asked, before=after), **view}) if after else "",
            first=link({**query_of(asked), **view}) if asked.before else "",
            hidden={"fingerprint": asked.fingerprint, "code": asked.code, **view},
            **self._choices(asked),
        )

    @staticmethod
    def _choices(asked: Asked) -> dict[str, Any]:
        return {"asked": asked, "spans": SPANS, "resolutions": RESOLUTIONS}

    async def show(self, request: Request) -> Response:
        """One dead letter, masked."""
        place = _place(request.path_params)
        shown = await ask(self._desk, letters.letter, Place(place))
        if not wants_page(request):
            return document(shown)
        return self._letter(request, place, shown, revealed=False)

    async def reveal(self, request: Request) -> Response:
        """The same with customers' values, when that was really meant; it is logged."""
        place = _place(request.path_params)
        if (await form_of(request)).get("sure") != "yes":
            raise HTTPException(400, "Nothing was revealed: say that you need it.")
        shown = await ask(self._desk, letters.letter, Place(place, reveal=True, who=who(request)))
        if not wants_page(request):
            return document(shown)
        return self._letter(request, place, shown, revealed=True)

    def _letter(
        self, request: Request, place: Position, shown: Mapping[str, Any], *, revealed: bool
    ) -> Response:
        return self._pages.page(
            request,
            "letter.html",
            title=f"Dead letter {place.partition}:{place.offset}",
            letter=shown,
            place=place,
            position=":".join(map(str, place)),
            revealed=revealed,
            kind=link({"fingerprint": shown["fingerprint"]}),
        )

    async def discard(self, request: Request) -> Response:
        """First what would be discarded; then, with the number and a reason, doing it."""
        fields = await form_of(request)
        wanted = wanted_of(fields, by=who(request))
        confirmed = fields.get("count", "").strip()
        if not confirmed:
            told = await ask(self._desk, replays.describe_discard, wanted, timeout_s=COUNT_S)
            return self._discard_page(request, fields, told)
        if not wanted.reason.strip() or len(wanted.reason) > REASON_CHARACTERS:
            raise HTTPException(400, "Nothing was done: a reason of one sentence is needed.")
        if not (confirmed.isascii() and confirmed.isdecimal()):
            raise HTTPException(400, "Nothing was done: the number of dead letters is a number.")
        exact = replays.Discarding(wanted, int(confirmed[:20]))
        told = await ask(self._desk, replays.discard, exact, timeout_s=COUNT_S)
        return self._discard_page(request, fields, told)

    def _discard_page(
        self, request: Request, fields: Mapping[str, str], told: Mapping[str, Any]
    ) -> Response:
        if not wants_page(request):
            return document(told)
        kept = {name: fields.get(name, "") for name in WANTED_FIELDS}
        return self._pages.page(request, "discard.html", title="Discard", told=told, fields=kept)


WANTED_FIELDS = ("topic", "fingerprint", "code", "since", "resolution", "position")


def wanted_of(fields: Mapping[str, str], *, by: str) -> Wanted:
    """Which letters a form means.

    Raises:
        HTTPException: 400, one of its fields is malformed.
    """
    given = {name: value for name, value in fields.items() if value}
    position = None
    if text := given.get("position", ""):
        topic, _, numbers = text.partition(":")
        partition, _, offset = numbers.partition(":")
        position = place_of(topic, partition, offset, status=400)
    return Wanted(
        which=asked_of(given),
        position=position,
        allow_stale=given.get("allow_stale") == "yes",
        by=by,
        reason=given.get("reason", ""),
    )


def link(fields: Mapping[str, str]) -> str:
    """A link to dead letters."""
    return f"{ROOT}?{urlencode(fields)}" if fields else ROOT


def _place(parameters: Mapping[str, Any]) -> Position:
    return place_of(parameters["topic"], parameters["partition"], parameters["offset"])


def _counted(kinds: Kinds) -> dict[str, int]:
    return {
        "more_kinds": kinds.more,
        "letters": kinds.letters,
        "looked_at": kinds.looked_at,
        "offsets": kinds.offsets,
    }
