"""A customer whose personal data was deleted: what of the event may still be mapped."""

from collections.abc import Mapping
from typing import Any

_DELETED = "deleted"
_ENVELOPE = frozenset(
    ["eventName", "eventId", "eventLogId", "orgId", "refId", "apiRequestId", "createdAt"]
)
_STATUS = ("previousStatus", "previousLabel", "currentStatus", "currentLabel")


def mappable(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body as mapping sets and identities may see it: as it is, or of a deletion the rest.

    Capillary tells the deletion of a customer's personal data as an event whose
    ``data.customerStatus`` becomes Deleted, and such an event may still hold names, contacts, old
    values of changed fields and free text. Here they end, before any mapping set: ours, or an
    operator's. What stays is named, so that a field which Capillary adds tomorrow is not sent: the
    envelope, the customer id, the status and ``enteredAt``.

    Source: domain facts 2.5 (customerUpdated).
    """
    data = body.get("data")
    if not isinstance(data, Mapping):
        return body
    status = data.get("customerStatus")
    if not isinstance(status, Mapping) or not is_deleted(status):
        return body
    rest: dict[str, Any] = {name: value for name, value in body.items() if name in _ENVELOPE}
    identifiers = data.get("customerIdentifiers")
    customer = identifiers.get("customerId") if isinstance(identifiers, Mapping) else None
    rest["data"] = {
        "customerIdentifiers": {"customerId": customer},
        "customerStatus": {name: status.get(name) for name in _STATUS},
        "enteredAt": data.get("enteredAt"),
    }
    return rest


def is_deleted(status: Mapping[str, Any]) -> bool:
    """Whether a ``customerStatus`` says that the customer's personal data was deleted."""
    return any(
        isinstance(word := status.get(name), str) and word.strip().casefold() == _DELETED
        for name in ("currentLabel", "currentStatus")
    )
