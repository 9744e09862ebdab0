"""Values as tills send them: what is no value is left out, and costs nothing else."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.errors import Refused
from processor.experience_platform.gate import Gate
from processor.mapping.mapper import Mapper
from processor.record import Event, Record
from processor.schemas.decoder import Decoder
from processor.settings import CapillarySettings, ConverterSettings, MappingSettings
from tests.golden.test_examples import FOLDER, NOW_S, TARGETS, XDM, made

MAPPER = Mapper(FOLDER, MappingSettings(), tenant="acme", targets=TARGETS, xdm=XDM)
GATES = {
    target: Gate(target, XDM[target], "dead_letter", tenant="acme", clock=lambda: NOW_S)
    for target in TARGETS
}
DECODER = Decoder(FOLDER, ConverterSettings(), CapillarySettings(), registry=False)
CREATED_AT = 1750224535590
CREATED = "2025-06-18T05:28:55.590Z"


def event(name: str, data: Mapping[str, Any]) -> Event:
    document = {
        "eventName": name,
        "eventId": "4647d7b7-0000-4000-8000-40ff87f8a445",
        "orgId": 51186,
        "createdAt": CREATED_AT,
        "data": {"customerIdentifiers": {"customerId": 387979652}, **data},
    }
    return DECODER.decode(Record("t", 0, 0, value=json.dumps(document).encode()))


def sent(name: str, target: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The one entity of an event, past the gate."""
    (entity,) = made(MAPPER, event(name, data), target)
    GATES[target].check(entity, orjson.dumps(entity))
    return entity


def profile(event_name: str = "customerAdded", **instore: Any) -> dict[str, Any]:
    identifiers = {"customerId": 387979652, "instore": instore}
    return sent(event_name, "profile", {"customerIdentifiers": identifiers})


NO_EMAILS = [
    *("", " ", "-", "null", "ann", "ann@", "@example.com", "ann@b@", "ann@example"),
    *("a b@example.com", "ann@exa_mple.com", f"{'x' * 65}@example.com", "ann@example.1"),
    *("asha@münchen.example", "ann@example.com\u200b", "ann.@example.com", ".ann@example.com"),
    *("a..n@example.com", "ann@-x.example", f"ann@{'x.' * 130}example"),
]


@pytest.mark.parametrize("name", ["customerAdded", "customerUpdated"])
@pytest.mark.parametrize("email", NO_EMAILS)
def test_what_is_no_email_costs_the_profile_nothing_but_the_email(name: str, email: str) -> None:
    entity = profile(name, email=email, externalId="EXT-1")

    assert "personalEmail" not in entity
    assert entity["_acme"]["capillaryCustomer"]["externalId"] == "EXT-1"


@pytest.mark.parametrize(
    "email", [" Ann@Example.com ", "ann.o'neil+tag@mail.example.co.uk", f"{'x' * 64}@example.com"]
)
def test_an_email_is_sent_in_lower_case_without_blanks(email: str) -> None:
    assert profile(email=email)["personalEmail"] == {"address": email.strip().lower()}


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(alphabet="aZ0.-_+@ '\"\\;ü\u200b", max_size=70).map("x{}".format))
def test_no_email_whatsoever_makes_a_dead_letter_of_a_profile(email: str) -> None:
    assert "capillaryCustomer" in profile(email=email)["_acme"]


@pytest.mark.parametrize("mobile", ["", " ", "-", "0", "null", "n/a", "call me", "1" * 40])
def test_what_is_no_phone_number_is_left_out(mobile: str) -> None:
    assert "mobilePhone" not in profile(mobile=mobile)


def test_a_phone_number_is_sent_as_it_was_written() -> None:
    assert profile(mobile=" +1 202-555-0123 ")["mobilePhone"] == {"number": "+1 202-555-0123"}


def test_a_blank_name_hides_no_other_and_is_not_sent() -> None:
    identifiers = {"customerId": 1, "firstName": "Asha", "lastName": " "}
    data = {"customerIdentifiers": identifiers, "firstName": " ", "lastName": ""}

    assert sent("customerUpdated", "profile", data)["person"] == {"name": {"firstName": "Asha"}}


def test_one_card_number_counts_where_there_is_no_list() -> None:
    more_or_less: list[dict[str, Any]] = [
        {}, {"cardNumbers": None}, {"cardNumbers": []}, {"cardNumbers": ["4002"]},
    ]  # fmt: skip
    numbers = [
        profile(cardnumber="4001", **more)["_acme"]["capillaryCustomer"]["cardNumbers"]
        for more in more_or_less
    ]

    assert numbers == [["4001"], ["4001"], ["4001"], ["4002"]]


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("transactionAdded", ("enteredAt", "billDate")),
        ("customerAdded", ("enteredAt",)),
        ("badgeEarned", ("earnedOn", "issuedOn")),
        ("rewardIssued", ("issueDateTime", "eventDateTime", "startDate", "endDate")),
    ],
)
def test_zero_is_no_time(name: str, times: tuple[str, ...]) -> None:
    entity = sent(name, "event", dict.fromkeys(times, 0))

    assert entity["timestamp"] == CREATED
    assert "19" not in {str(value)[:2] for value in leaves(entity)}


def test_zero_is_no_time_of_a_coupon() -> None:
    identifiers = {"customerId": 1}
    coupon = {"code": "C", "issued_on": 0, "valid_till": 0}
    series = {"id": 7, "valid_till": 0}
    issued = sent(
        "CouponIssue",
        "event",
        {
            "coupons": [{**coupon, "customerIdentifiers": identifiers}],
            "addedAt": 0,
            "series_info": series,
        },
    )
    redeemed = sent(
        "CouponRedeem", "event", {"coupon": {"redemptionDate": 0, "series_info": series}}
    )

    for entity in (issued, redeemed):
        assert entity["timestamp"] == CREATED
        assert "19" not in {str(value)[:2] for value in leaves(entity)}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("transactionAdded", "enteredAt"),
        ("customerAdded", "enteredAt"),
        ("badgeEarned", "earnedOn"),
    ],
)
def test_a_negative_time_of_an_event_is_refused(name: str, field: str) -> None:
    with pytest.raises(Refused, match="must not lie before 2000"):
        sent(name, "event", {field: -1})


def test_a_negative_time_elsewhere_is_left_out() -> None:
    reward = {"startDate": -1, "endDate": -1, "intouchRewardDetails": {"codeExpiry": -1}}

    assert "reward" not in sent("rewardIssued", "event", reward)["_acme"]["loyaltyEvent"]


def test_the_registration_of_a_customer_has_no_time_rather_than_1970() -> None:
    assert (
        "registeredAt"
        not in sent("customerAdded", "profile", {"enteredAt": 0})["_acme"]["capillaryCustomer"]
    )


def leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


@pytest.mark.parametrize("name", ["transactionAdded", "transactionUpdated"])
@pytest.mark.parametrize("kind", ["REGULAR", "RETURN"])
@pytest.mark.parametrize("currency", ["", "  "])
def test_a_blank_currency_costs_the_bill_nothing_else(name: str, kind: str, currency: str) -> None:
    data = {"billType": kind, "transactionId": 5, "amount": 90.5, "currencyCode": currency}

    entity = sent(name, "event", data)

    assert entity["_acme"]["loyaltyEvent"]["bill"]["amount"] == 90.5
    assert "currencyCode" not in json.dumps(entity)


def test_a_bill_type_counts_without_its_blanks() -> None:
    entity = sent("transactionAdded", "event", {"billType": " Return ", "amount": -5})

    assert entity["eventType"] == "commerce.backofficeCreditMemoIssued"
    assert entity["commerce"]["order"]["refundTotal"] == 5
    assert "priceTotal" not in entity["commerce"]["order"]


def test_the_discount_of_a_return_is_told_as_capillary_tells_it() -> None:
    entity = sent("transactionAdded", "event", {"billType": "RETURN", "amount": -5, "discount": -1})

    assert entity["_acme"]["loyaltyEvent"]["bill"]["discount"] == -1
    assert "discountAmount" not in entity["commerce"]["order"]


@pytest.mark.parametrize("date", ["", "  "])
def test_points_without_an_expiry_date_are_told_without_it(date: str) -> None:
    data = {
        "totalPointsIssued": 30,
        "regularPointsBreakup": [
            {"points": 10, "expiryAt": date},
            {"points": 5, "expiryAt": "2026-06-29"},
        ],
        "promotionalPointsIssued": [{"promotionPoints": 10, "promotionPointsExpiryDate": date}],
        "promisedPointsIssued": [{"promisedPoints": 5, "promisedPointsConversionDate": date}],
    }

    told = sent("pointsIssued", "event", data)["_acme"]["loyaltyEvent"]

    assert told["regularPointsBreakup"] == [
        {"points": 10},
        {"points": 5, "expiryDate": "2026-06-29"},
    ]
    assert (told["promotionalPoints"], told["promisedPoints"]) == (
        [{"points": 10}],
        [{"points": 5}],
    )


def test_a_null_in_a_list_costs_nothing_else() -> None:
    programmes = [None, {"programId": 2649, "programCurrentPoints": 5}, None]
    cards = profile(cardNumbers=[None, "4001"])["_acme"]["capillaryCustomer"]["cardNumbers"]

    balance = sent("pointsRedeemed", "loyalty", {"redemptionFromEarningPrograms": programmes})

    assert (balance["loyalty"], cards) == ({"points": 5}, ["4001"])
