"""Conditions on fields of the decoded event."""

import pytest

from processor.errors import Misconfigured
from processor.operations.where import where
from processor.record import Event

EVENT = Event(
    "pointsIssued",
    {
        "eventName": "pointsIssued",
        "orgId": 51186,
        "data": {
            "points": 10.0,
            "member": True,
            "tier": None,
            "bills": [{"number": "A=1"}, {"number": "B"}],
            "tags": ["x", "y"],
            "name": "true",
        },
    },
)


@pytest.mark.parametrize(
    "text",
    [
        "eventName=pointsIssued",
        "orgId=51186",
        "data.points=10",
        "data.points=1e1",
        "data.member=true",
        "data.tier=null",
        "data.bills.number=A=1",
        "data.bills.number=B",
        "data.tags=y",
        "data.name=true",
    ],
)
def test_a_field_has_a_value(text: str) -> None:
    assert where(text).holds(EVENT)


@pytest.mark.parametrize(
    "text",
    [
        "eventName=pointsissued",
        "eventName=",
        "orgId=text",
        "orgId=51186 or 1=1",
        "data.points=11",
        "data.member=1",
        "data.tier=",
        "data.missing=null",
        "data.bills=B",
        "data.points.x=10",
        "data.name=false",
        "data={{7*7}}",
    ],
)
def test_a_field_has_another_value(text: str) -> None:
    assert not where(text).holds(EVENT)


@pytest.mark.parametrize("text", ["", "eventName", "=x", "a..b=1", ".=1"])
def test_what_is_no_condition_is_said_so(text: str) -> None:
    with pytest.raises(Misconfigured, match="FIELD=VALUE"):
        where(text)
