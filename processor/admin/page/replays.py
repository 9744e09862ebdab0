"""Replays: which there are, planning one, confirming it by its number, its progress, its end."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.forms import form_of
from processor.admin.page.asking import ask, who
from processor.admin.page.dead_letters import wanted_of
from processor.admin.page.render import Pages, document, go_to, wants_page
from processor.admin.page.words import path
from processor.admin.routes import AdminRoute
from processor.errors import Misconfigured
from processor.operations.desk import replays
from processor.operations.desk.apart import Desk
from processor.operations.desk.jobs import Busy, Draft, Jobs, Stage, settled
from processor.operations.desk.replays import Named
from processor.operations.replays.records import Kind, Status

ROOT = "/replays"
PLANNED_WITHIN_S = 4.0
"""A small plan is shown at once; of a larger one its progress."""

BEGUN_WITHIN_S = 10.0
ENDED_WITHIN_S = 4.0
END_S = 120.0
SHOWN = 100
DIGITS = 20
TONES = {
    Status.RUNNING: "calm",
    Status.FINISHED: "good",
    Status.INTERRUPTED: "warn",
    Status.CANCELLED: "warn",
    Status.FAILED: "bad",
}


class Replays:
    """Answers about replays."""

    def __init__(self, desk: Desk, jobs: Jobs, pages: Pages) -> None:
        self._desk = desk
        self._jobs = jobs
        self._pages = pages
        self._ending: set[asyncio.Task[Any]] = set()

    def routes(self) -> list[AdminRoute]:
        """What it answers, and what each asks of the caller."""
        plan, one = ROOT + "/plans/{plan}", ROOT + "/{replay}"
        return [
            AdminRoute("GET", ROOT, Need.LOOK, self.overview),
            AdminRoute("POST", f"{ROOT}/plans", Need.REPLAY, self.plan),
            AdminRoute("GET", plan, Need.REPLAY, self.show_plan),
            AdminRoute("POST", f"{plan}/execute", Need.REPLAY, self.execute),
            AdminRoute("GET", one, Need.LOOK, self.show),
            AdminRoute("POST", f"{one}/cancel", Need.REPLAY, self.cancel),
            AdminRoute("POST", f"{one}/resume", Need.REPLAY, self.resume),
        ]

    async def overview(self, request: Request) -> Response:
        """Every replay that the state topic knows, the latest first."""
        rows = await ask(self._desk, replays.replays)
        if not wants_page(request):
            return document({"replays": rows})
        return self._pages.page(
            request,
            "replays.html",
            title="Replays",
            rows=[{**row, **progress(row)} for row in rows[:SHOWN]],
            more=max(0, len(rows) - SHOWN),
            live=any(row["status"] == Status.RUNNING for row in rows),
        )

    async def plan(self, request: Request) -> Response:
        """Plan a replay; nothing is sent."""
        wanted = wanted_of(await form_of(request), by=who(request))
        try:
            draft = self._jobs.plan(wanted)
        except Busy as busy:
            raise HTTPException(409, str(busy)) from None
        await settled(draft, PLANNED_WITHIN_S)
        return self._to_plan(request, draft)

    async def show_plan(self, request: Request) -> Response:
        """What a replay would come to, and the form that begins it."""
        draft = self._draft(request)
        if draft.replay_id and draft.stage is not Stage.FAILED and wants_page(request):
            return go_to(path("replays", draft.replay_id), request)
        if not wants_page(request):
            return document(_told(draft))
        planned = draft.planned
        return self._pages.page(
            request,
            "plan.html",
            title="Plan of a replay",
            draft=draft,
            forecast=None if planned is None else planned.document,
            warnings=() if planned is None else planned.warnings,
            live=draft.at_work,
        )

    async def execute(self, request: Request) -> Response:
        """Begin it, when the number of letters was confirmed."""
        draft = self._draft(request)
        given = (await form_of(request)).get("count", "").strip()
        if not (given.isascii() and given.isdecimal()):
            raise HTTPException(400, "Nothing was sent: confirm the number of dead letters.")
        begins = draft.stage is Stage.READY
        try:
            self._jobs.execute(draft, int(given[:DIGITS]), who(request))
        except Busy as busy:
            raise HTTPException(409, str(busy)) from None
        except Misconfigured as error:
            raise HTTPException(400, str(error)) from None
        if begins:
            await settled(draft, BEGUN_WITHIN_S)
        return self._to_plan(request, draft)

    async def show(self, request: Request) -> Response:
        """One replay: how far it is, or what became of it."""
        replay_id = request.path_params["replay"]
        draft = self._jobs.of_replay(replay_id)
        try:
            row = await ask(self._desk, replays.replay, Named(replay_id))
        except HTTPException as error:
            if error.status_code != 404 or draft is None:  # noqa: PLR2004 - not known
                raise
            row = None  # the state topic does not know it yet, or never will
        if not wants_page(request):
            return document(row if row is not None else _told(draft))
        problem = draft.problem if draft is not None and draft.stage is Stage.FAILED else ""
        working = draft is not None and draft.at_work
        if row is not None:
            ended = draft.looked_at if draft is not None and draft.at_work else 0
            row = {**row, **progress(row, ended)}
        return self._pages.page(
            request,
            "replay.html",
            title=f"Replay {replay_id}",
            id=replay_id,
            row=row,
            result={} if draft is None else draft.result,
            problem=problem,
            live=working or (row is not None and row["status"] == Status.RUNNING),
            resumable=row is not None
            and row["kind"] == Kind.LETTERS
            and row["status"] == Status.INTERRUPTED,
        )

    async def cancel(self, request: Request) -> Response:
        """End a replay for good; what is on its way ends first."""
        asked = Named(request.path_params["replay"], who(request))
        ending = asyncio.create_task(ask(self._desk, replays.end, asked, timeout_s=END_S))
        self._ending.add(ending)
        ending.add_done_callback(self._forget)
        done, _ = await asyncio.wait({ending}, timeout=ENDED_WITHIN_S)
        told = ending.result() if done else {"replay_id": asked.id, "status": "ending"}
        return go_to(path("replays", asked.id), request) if wants_page(request) else document(told)

    async def resume(self, request: Request) -> Response:
        """Go on with a replay that did not end."""
        replay_id = request.path_params["replay"]
        await ask(self._desk, replays.replay, Named(replay_id))
        try:
            draft = self._jobs.resume(replay_id, who(request))
        except Busy as busy:
            raise HTTPException(409, str(busy)) from None
        await settled(draft, BEGUN_WITHIN_S)
        there = path("replays", replay_id)
        return go_to(there, request) if wants_page(request) else document(_told(draft), 202)

    def _forget(self, ending: asyncio.Task[Any]) -> None:
        self._ending.discard(ending)
        if not ending.cancelled():
            ending.exception()  # it was told, or comes to light on the replay's page

    def _draft(self, request: Request) -> Draft:
        draft = self._jobs.find(request.path_params["plan"])
        if draft is None:
            raise HTTPException(
                404,
                "This worker does not have that plan: another worker made it, or it was forgotten. "
                "Plan the replay again.",
            )
        return draft

    @staticmethod
    def _to_plan(request: Request, draft: Draft) -> Response:
        if wants_page(request):
            return go_to(path("replays", "plans", draft.id), request)
        return document(_told(draft), 202)


def progress(row: Mapping[str, Any], so_far: int = 0) -> dict[str, Any]:
    """How far a replay is: records that have ended, of so many, and its tone."""
    counts = row["counts"]
    ended = sum(
        sum(value.values()) if isinstance(value, Mapping) else value
        for name, value in counts.items()
        if name in {"delivered", "failed", "filtered", "stale"}
    )
    ended = max(ended, row.get("ended") or 0, so_far)
    return {"done": min(ended, row["chosen"]), "tone": TONES[Status(row["status"])]}


def _told(draft: Draft | None) -> dict[str, Any]:
    if draft is None:
        return {}
    return {
        "plan": draft.id,
        "stage": draft.stage.value,
        "letters": draft.count,
        "looked_at": draft.looked_at,
        "forecast": draft.planned.document if draft.planned is not None else None,
        "replay_id": draft.replay_id or None,
        "problem": draft.problem or None,
        "result": draft.result or None,
    }
