"""What the tests of replays share: events of one customer, headers, what the state topic has."""

from typing import Any

from processor.kafka.state import StateTopic
from processor.settings import Settings


def of_customer(capillary: Any, name: str, customer: int, **data: Any) -> dict[str, Any]:
    """An invented event of one customer, with these fields in its data."""
    event: dict[str, Any] = capillary.events.of(name)
    event["data"]["customerIdentifiers"] = {"customerId": customer}
    event["data"] |= data
    return event


def header(message: Any, name: str) -> str | None:
    """The last header of this name, as text."""
    values = [value for key, value in message.headers() if key == name]
    return values[-1].decode() if values else None


def state_of(settings: dict[str, Any]) -> dict[str, Any]:
    """By key, the entries of the state topic now."""
    return dict(StateTopic(Settings.model_validate(settings), "test").read())
