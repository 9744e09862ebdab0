"""The simulator's own endpoints: post faults, see what came in, start afresh."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from processor import __version__
from processor.simulator.faults import BadFaults, read_faults
from processor.simulator.options import MOST_SECRETS
from processor.simulator.received import Entry
from processor.simulator.world import World

_FLAGS = {"true": True, "false": False}
_PARTS = ("faults", "received", "secrets")
MOST_FAULT_BYTES = 8_000_000


class _BadQuery(ValueError):
    """A query parameter that there is not, or a value that it cannot have."""


class Control:
    """The endpoints below ``/simulator``, ``GET /`` and ``GET /livez``."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def home(self, _request: Request) -> Response:
        """What this is."""
        options = self._world.options
        return _json(
            {
                "name": "processor simulator",
                "version": __version__,
                "simulates": ["Adobe IMS", "Adobe Experience Platform streaming ingestion"],
                "client_id": options.client_id or "any",
                "validation": options.validation,
                "schemas": self._world.schemas.names,
                "inlets": [inlet.inlet_id for inlet in options.inlets] or "any",
            }
        )

    async def livez(self, _request: Request) -> Response:
        """Alive."""
        return _json({"live": True})

    async def post_faults(self, request: Request) -> Response:
        """Add faults to the script; those that act at once do."""
        document = b""
        async for piece in request.stream():
            document += piece
            if len(document) > MOST_FAULT_BYTES:
                return _error(f"faults: give at most {MOST_FAULT_BYTES} bytes.", 413)
        try:
            query = _query(request, "replace")
            replace = _flag(query, "replace")
            faults = read_faults(document)
        except (BadFaults, _BadQuery) as error:
            return _error(str(error))
        secrets = len(self._world.options.client_secrets) or MOST_SECRETS
        for fault in faults:
            if isinstance(fault.revoke_secret, int) and fault.revoke_secret >= secrets:
                return _error(f"revoke_secret: there are {secrets} secrets, counted from 0.")
        if replace:
            self._world.script.clear()
        numbers = self._world.script.post(faults)
        for fault in faults:
            if fault.expire_tokens:
                self._world.ims.expire_all()
            if fault.revoke_secret is not None:
                self._world.ims.revoke(fault.revoke_secret)
        return _json({"posted": numbers, "faults": self._world.script.as_json()}, 201)

    async def get_faults(self, _request: Request) -> Response:
        """The faults that still act."""
        return _json({"faults": self._world.script.as_json()})

    async def get_received(self, request: Request) -> Response:
        """The messages that were judged, in order of arrival."""
        return self._entries(request, self._world.received.entries)

    async def get_failed(self, request: Request) -> Response:
        """Accepted messages that validation refused afterwards, as in a failed batch."""
        try:
            query = _query(request, "inlet")
        except _BadQuery as error:
            return _error(str(error))
        return _json(
            [
                {
                    "inlet": entry.inlet,
                    "_id": entry.id,
                    "identity": entry.identity,
                    "event_id": entry.event_id,
                    "_validationErrors": orjson.Fragment(entry.violations or b"[]"),
                }
                for entry in self._world.received.failed()
                if query.get("inlet") in {None, entry.inlet}
            ]
        )

    async def get_profiles(self, request: Request) -> Response:
        """What the profile datasets hold."""
        try:
            query = _query(request, "dataset", "inlet", "identity")
        except _BadQuery as error:
            return _error(str(error))
        profiles = self._world.received.profiles.values()
        return _json(
            [
                {
                    "dataset": profile.dataset_id,
                    "inlet": profile.inlet,
                    "identity": profile.identity,
                    "updates": profile.updates,
                    "entity": orjson.Fragment(profile.entity),
                }
                for profile in profiles
                if query.get("dataset") in {None, profile.dataset_id}
                and query.get("inlet") in {None, profile.inlet}
                and query.get("identity") in {None, profile.identity}
            ]
        )

    async def get_requests(self, request: Request) -> Response:
        """The requests that came in, without secrets, and how many were in flight at once."""
        try:
            query = _query(request, "scope", "inlet", "after", "limit")
            after, limit = _number(query, "after", 0), _number(query, "limit", None)
        except _BadQuery as error:
            return _error(str(error))
        summary = self._world.received.summary()
        entries = (
            entry.as_json()
            for entry in self._world.received.requests
            if entry.number > (after or 0)
            and query.get("scope") in {None, entry.door}
            and query.get("inlet") in {None, entry.inlet}
        )
        return _json(
            {
                "counts": summary["requests"],
                "in_flight": summary["in_flight"],
                "in_flight_max": summary["in_flight_max"],
                "requests": list(islice(entries, limit)),
            }
        )

    async def get_summary(self, _request: Request) -> Response:
        """Counts since the last reset."""
        ims = self._world.ims
        return _json(
            {
                **self._world.received.summary(),
                "tokens": {"minted": ims.minted, "refused": ims.refused},
                "faults_left": len(self._world.script.as_json()),
            }
        )

    async def reset(self, request: Request) -> Response:
        """Forget faults, what came in, and revocations; tokens stay valid."""
        try:
            query = _query(request, "what")
        except _BadQuery as error:
            return _error(str(error))
        wanted = query.get("what", ",".join(_PARTS)).split(",")
        if unknown := set(wanted) - set(_PARTS):
            return _error(f"what: {', '.join(sorted(unknown))} is none of {', '.join(_PARTS)}.")
        if "faults" in wanted:
            self._world.script.clear()
        if "received" in wanted:
            self._world.received.clear()
        if "secrets" in wanted:
            self._world.ims.restore()
        return _json({"reset": wanted})

    def _entries(self, request: Request, entries: Any) -> Response:
        try:
            query = _query(
                request,
                "inlet", "target", "accepted", "answered", "repeat", "identity", "event_id",
                "_id", "after", "limit", "message",
            )  # fmt: skip
            chosen = islice(_chosen(entries, query), _number(query, "limit", None))
            with_message = _flag(query, "message", default=True)
            return _json([entry.as_json(with_message=with_message is True) for entry in chosen])
        except _BadQuery as error:
            return _error(str(error))


def _chosen(entries: Any, query: Mapping[str, str]) -> Iterator[Entry]:
    accepted, answered = _flag(query, "accepted"), _flag(query, "answered")
    repeat, after = _flag(query, "repeat"), _number(query, "after", 0) or 0
    for entry in entries:
        if (
            entry.order > after
            and query.get("inlet") in {None, entry.inlet}
            and query.get("target") in {None, entry.target}
            and query.get("identity") in {None, entry.identity}
            and query.get("event_id") in {None, entry.event_id}
            and query.get("_id") in {None, entry.id}
            and accepted in {None, entry.status < 400}  # noqa: PLR2004  HTTP's own border
            and answered in {None, entry.request.outcome == "answered"}
            and repeat in {None, entry.repeat}
        ):
            yield entry


def _query(request: Request, *names: str) -> dict[str, str]:
    given = dict(request.query_params)
    if unknown := given.keys() - set(names):
        raise _BadQuery(
            f"{', '.join(sorted(unknown))}: unknown parameter. There are: {', '.join(names)}."
        )
    return given


def _flag(query: Mapping[str, str], name: str, *, default: bool | None = None) -> bool | None:
    value = query.get(name)
    if value is None:
        return default
    if value not in _FLAGS:
        raise _BadQuery(f"{name}: true or false.")
    return _FLAGS[value]


def _number(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    value = query.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit()):
        raise _BadQuery(f"{name}: a number from 0.")
    return int(value)


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _error(sentence: str, status: int = 400) -> Response:
    return _json({"error": sentence}, status)
