"""What Experience Platform needs on every entity: an ``_id`` that repeats, and the identities."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from processor.errors import Code, Refused
from processor.experience_platform.identity import Identities, customer_id, plain_id
from processor.mapping.mapper import Mapped
from processor.record import Event

FRESH_IDS = uuid.UUID("6f3f4f0e-5a0b-5c57-9d0a-6d1b7c0f2e11")
"""The name space of fresh ``_id``s; never another, or the same label would give others."""


class Enricher:
    """Puts ``_id`` and ``identityMap`` into entities; a row of the mapping set has precedence.

    Args:
        label: not empty: each ``_id`` is a fresh one, made of the usual one and this.
    """

    def __init__(self, identities: Identities, *, label: str = "") -> None:
        self._identities = identities
        self._label = label

    def enrich(self, event: Event, mapped: Mapped, *, index: int, count: int) -> str:
        """Put ``_id`` and ``identityMap`` into the entity, in place.

        The ``_id`` is the same at every delivery of the event, so that Profile drops repeats.

        Args:
            event: the decoded event.
            mapped: the entity, changed in place.
            index: position of the entity among those of this event and target, from 0.
            count: how many there are; above one, the ``_id`` ends in ``-<index>``.

        Returns:
            The entity's ``_id``.

        Raises:
            Refused: no usable identity (``mapping.no_identity``).
        """
        entity = mapped.entity
        identifier = plain_id(entity.get("_id"))
        if identifier is None:
            identifier = event_identifier(event)
            if count > 1:
                identifier = f"{identifier}-{index}"
            entity["_id"] = identifier
        if self._label:
            identifier = entity["_id"] = fresh_id(identifier, self._label)
        if "identityMap" not in entity:
            entity["identityMap"] = self._identities.identity_map(
                _identifiers(mapped.source), mapped.merged
            )
        return identifier


def event_identifier(event: Event) -> str:
    """What makes an event recognisable when it is delivered again.

    ``eventId``; without one ``refId:eventName:createdAt:customerId`` when all four are there; else
    the SHA-256 of the decoded event in canonical JSON (sorted keys), in hexadecimal. The text
    ``null`` is no ``eventId``: every event that carries it would be dropped as a repeat.
    """
    event_id = plain_id(event.event_id)
    if event_id is not None:
        return event_id
    body = event.body
    ref_id = plain_id(body.get("refId"))
    created_at = body.get("createdAt")
    data = body.get("data")
    customer = customer_id(_identifiers(data)) if isinstance(data, Mapping) else None
    if ref_id and customer and isinstance(created_at, int) and created_at > 0:
        return f"{ref_id}:{event.name}:{created_at}:{customer}"
    return hashlib.sha256(_canonical(body)).hexdigest()


def fresh_id(identifier: str, label: str) -> str:
    """Another ``_id`` for the same entity: a UUID of version 5, the same for the same label.

    Args:
        identifier: the usual ``_id``.
        label: holds no line feed, so no two pairs read alike.
    """
    return str(uuid.uuid5(FRESH_IDS, f"{label}\n{identifier}"))


def _identifiers(source: Mapping[str, Any]) -> Mapping[str, Any]:
    identifiers = source.get("customerIdentifiers")
    return identifiers if isinstance(identifiers, Mapping) else {}


def _canonical(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(
            body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_as_json
        ).encode()
    except (TypeError, ValueError, RecursionError):
        raise Refused(
            "The event has no eventId, and its content cannot be written as JSON to derive one.",
            code=Code.EVENT_INVALID,
        ) from None


def _as_json(value: object) -> object:
    """Avro's bytes and fixed have no JSON form."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
