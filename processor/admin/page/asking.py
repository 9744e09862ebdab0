"""Reads what a request asks for, and asks the desk for it."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from processor.admin.access import Caller
from processor.errors import Misconfigured, TryAgain
from processor.operations.bounds import LARGEST_OFFSET, LARGEST_PARTITION
from processor.operations.desk.apart import ANSWER_S, Desk, Work
from processor.operations.desk.letters import Asked
from processor.operations.letters.meant import OPEN, RESOLUTIONS
from processor.record import Position
from processor.settings.topics import is_topic_name

SPANS = {"": "any time", "PT1H": "last hour", "P1D": "last day", "P7D": "last 7 days"}
"""How far back a list goes, as ``--by-duration`` takes it."""

LONGEST = 250
"""Characters of a text that a query may name: a topic's name has at most 249."""

MOST_PLACES = 2_000
NOT_OURS = "settings"


async def ask(desk: Desk, work: Work, asked: Any = None, *, timeout_s: float = ANSWER_S) -> Any:
    """What the desk answers.

    Raises:
        HTTPException: 404, it knows of no such thing; 503, it could not be told.
    """
    try:
        return await desk.call(work, asked, timeout_s=timeout_s)
    except TryAgain as error:
        raise HTTPException(503, str(error)) from None
    except Misconfigured as error:
        raise HTTPException(404 if error.reason == NOT_OURS else 503, str(error)) from None


def who(request: Request) -> str:
    """Who asks, as logs and the state topic name them."""
    caller: Caller = request.state.caller
    return f"{caller.name}@{request.client.host if request.client is not None else 'unknown'}"


def asked_of(fields: Mapping[str, str]) -> Asked:
    """What a query or a form asks for.

    Raises:
        HTTPException: 400, one of its fields is malformed.
    """
    since, resolution = fields.get("since", ""), fields.get("resolution", OPEN)
    topic, fingerprint, code = (fields.get(n, "") for n in ("topic", "fingerprint", "code"))
    if since not in SPANS:
        raise HTTPException(400, f"since is one of {', '.join(filter(None, SPANS))}.")
    if resolution not in RESOLUTIONS:
        raise HTTPException(400, f"resolution is one of {', '.join(RESOLUTIONS)}.")
    if topic and not is_topic_name(topic):
        raise HTTPException(400, "topic is no name that a topic can have.")
    if max(len(fingerprint), len(code)) > LONGEST:
        raise HTTPException(400, f"fingerprint and code have at most {LONGEST} characters.")
    return Asked(
        topic=topic,
        fingerprint=fingerprint,
        code=code,
        since=since,
        resolution=resolution,
        everything=fields.get("everything", "") == "yes",
        before=read_cursor(fields.get("before", "")),
    )


def query_of(asked: Asked, **changes: str) -> dict[str, str]:
    """The fields that ask for the same, with changes; what is usual is left out."""
    fields = {
        "topic": asked.topic,
        "fingerprint": asked.fingerprint,
        "code": asked.code,
        "since": asked.since,
        "resolution": "" if asked.resolution == OPEN else asked.resolution,
        "everything": "yes" if asked.everything else "",
    }
    return {name: value for name, value in {**fields, **changes}.items() if value}


def cursor(places: tuple[Position, ...]) -> str:
    """Where a page ended: ``topic:0-17,1-4;other:0-3``."""
    topics: dict[str, list[str]] = {}
    for place in places:
        topics.setdefault(place.topic, []).append(f"{place.partition}-{place.offset}")
    return ";".join(f"{topic}:{','.join(numbers)}" for topic, numbers in topics.items())


def read_cursor(text: str) -> tuple[Position, ...]:
    """The places that :func:`cursor` wrote.

    Raises:
        HTTPException: 400, it is not of that form.
    """
    places: list[Position] = []
    for part in filter(None, text.split(";")):
        topic, _, numbers = part.partition(":")
        for number in numbers.split(","):
            partition, _, offset = number.partition("-")
            places.append(place_of(topic, partition, offset, status=400))
    if len(places) > MOST_PLACES:
        raise HTTPException(400, "That is no place where a page ended.")
    return tuple(places)


def place_of(topic: str, partition: str, offset: str, *, status: int = 404) -> Position:
    """The coordinates of a dead letter.

    Raises:
        HTTPException: no record can have them.
    """
    numbers = (partition, offset)
    if not is_topic_name(topic) or not all(n.isascii() and n.isdecimal() for n in numbers):
        raise HTTPException(status, "No dead letter can stand there.")
    place = Position(topic, int(partition[:20]), int(offset[:20]))
    if place.partition > LARGEST_PARTITION or place.offset > LARGEST_OFFSET:
        raise HTTPException(status, "No dead letter can stand there.")
    return place
