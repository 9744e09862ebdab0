"""What ``uuid()`` gives: random to look at, and the same whenever the event comes again."""

import hashlib
import json
from collections import Counter
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from processor.mapping.failures import ExpressionFailed
from processor.record import Event

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:capillary-aep-processor:uuid")


class Identifiers:
    """Gives the UUIDs of one message, version 5 (RFC 9562).

    Each is made of what tells the event apart (its ``eventId``, else all it holds), the mapping
    set, the message's place, the rule that asks, and how often that rule has asked before.

    Args:
        place: the mapping set, as messages name its file.
        index: position of the message among those of this event and target, from 0.
    """

    def __init__(self, event: Event, place: str, index: int) -> None:
        self._event = event
        self._place = f"{event.name}\0{place}\0{index}"
        self._asked: Counter[str] = Counter()
        self._seed = ""

    def __call__(self, rule: str) -> str:
        """The next UUID of a rule.

        Raises:
            ExpressionFailed: the event has no ``eventId``, and holds what JSON cannot.
        """
        if not self._seed:
            self._seed = _seed(self._event)
        self._asked[rule] += 1
        name = f"{self._seed}\0{self._place}\0{rule}\0{self._asked[rule]}"
        return str(uuid5(_NAMESPACE, name))


def _seed(event: Event) -> str:
    event_id = (event.event_id or "").strip()
    if event_id and event_id.lower() != "null":
        return f"id {event_id}"
    try:
        text = json.dumps(event.body, sort_keys=True, default=_as_json)
    except (TypeError, ValueError, RecursionError):
        raise ExpressionFailed("the event cannot be written as JSON to make a UUID of") from None
    return f"body {hashlib.sha256(text.encode()).hexdigest()}"


def _as_json(value: object) -> Any:
    """Avro's bytes have no JSON form."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError
