from typing import Any

import pytest

from processor.errors import Code, Refused
from processor.experience_platform.identity import Identities, customer_id, email, plain_id
from processor.settings.models import IdentitySettings

MEMBER = {
    "customerId": 387979652,
    "instore": {
        "mobile": "911234500000",
        "email": " Member@Example.COM ",
        "externalId": "EXT-1",
    },
}


def primaries(identity_map: dict[str, list[dict[str, Any]]]) -> list[str]:
    return [
        namespace for namespace, items in identity_map.items() for item in items if item["primary"]
    ]


def test_the_customer_id_is_primary_and_the_others_are_ambiguous() -> None:
    identities = Identities(IdentitySettings())

    found = identities.identity_map(MEMBER)

    assert found == {
        "CapillaryCustomerId": [
            {"id": "387979652", "authenticatedState": "authenticated", "primary": True}
        ],
        "Email": [
            {"id": "member@example.com", "authenticatedState": "ambiguous", "primary": False}
        ],
        "Phone": [{"id": "+911234500000", "authenticatedState": "ambiguous", "primary": False}],
    }


def test_a_merged_customer_joins_with_the_customer_id_alone() -> None:
    identities = Identities(IdentitySettings())
    merged = {"customerId": 5, "instore": {"email": "old@example.com", "mobile": "911234500001"}}

    found = identities.identity_map(MEMBER, merged)

    assert found["CapillaryCustomerId"] == [
        {"id": "387979652", "authenticatedState": "authenticated", "primary": True},
        {"id": "5", "authenticatedState": "authenticated", "primary": False},
    ]
    assert {**found, "CapillaryCustomerId": []} == {
        **identities.identity_map(MEMBER),
        "CapillaryCustomerId": [],
    }


def test_a_merged_customer_never_stands_for_one_who_is_unknown() -> None:
    identities = Identities(IdentitySettings())
    email_only = {"instore": {"email": "member@example.com"}}

    with pytest.raises(Refused):
        identities.identity_map({}, {"customerId": 5})
    assert primaries(identities.identity_map(email_only, {"customerId": 5})) == ["Email"]
    assert identities.identity_map(MEMBER, MEMBER) == identities.identity_map(MEMBER)


def test_an_external_id_is_sent_where_its_namespace_is_set() -> None:
    identities = Identities(IdentitySettings(external_id="CRMID"))

    found = identities.identity_map(MEMBER)

    assert found["CRMID"][0]["id"] == "EXT-1"


def test_an_empty_namespace_leaves_its_identity_out() -> None:
    identities = Identities(IdentitySettings(email="", phone=""))

    found = identities.identity_map(MEMBER)

    assert list(found) == ["CapillaryCustomerId"]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (("customerId",), "CRMID"),
        (("customerId", "externalId"), "Email"),
        (("customerId", "externalId", "email"), "Phone"),
    ],
)
def test_without_a_customer_id_the_strongest_other_identity_is_primary(
    missing: tuple[str, ...], expected: str
) -> None:
    identities = Identities(IdentitySettings(external_id="CRMID"))
    instore = {k: v for k, v in MEMBER["instore"].items() if k not in missing}  # type: ignore[attr-defined] # a mixed dict

    found = identities.identity_map({"customerId": None, "instore": instore})

    assert primaries(found) == [expected]


def test_two_identities_may_share_a_namespace_with_one_primary() -> None:
    identities = Identities(IdentitySettings(primary="CRMID", external_id="CRMID"))

    found = identities.identity_map(MEMBER)

    assert [item["id"] for item in found["CRMID"]] == ["387979652", "EXT-1"]
    assert primaries(found) == ["CRMID"]


def test_one_id_in_two_places_of_a_namespace_is_one_identity() -> None:
    identities = Identities(IdentitySettings(primary="CRMID", external_id="CRMID"))

    found = identities.identity_map({"customerId": 7, "instore": {"externalId": "7"}})

    assert found == {"CRMID": [{"id": "7", "authenticatedState": "authenticated", "primary": True}]}


@pytest.mark.parametrize(
    "identifiers",
    [
        {},
        {"customerId": None, "instore": None},
        {"customerId": "null", "instore": {"email": "", "mobile": " ", "externalId": None}},
        {"customerId": -1, "instore": {"email": "none", "mobile": "null"}},
        {"customerId": 0, "instore": []},
    ],
)
def test_an_event_without_any_usable_identity_is_refused(identifiers: dict[str, Any]) -> None:
    identities = Identities(IdentitySettings(external_id="CRMID"))

    with pytest.raises(Refused) as caught:
        identities.identity_map(identifiers)

    assert caught.value.code is Code.MAPPING_NO_IDENTITY


def test_a_refusal_does_not_quote_the_customer() -> None:
    identities = Identities(IdentitySettings())

    with pytest.raises(Refused) as caught:
        identities.identity_map({"instore": {"email": "canary@@example.com", "mobile": "canary"}})

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("member@example.com", "member@example.com"),
        ("  MEMBER+tag@Example.co.IN\n", "member+tag@example.co.in"),
        ("jörg@bücher.example", "jörg@bücher.example"),
        ("a@b.co\r\nBcc: c@d.co", None),
        ("a\x00b@example.com", None),
        ("a\u202eb@example.com", None),
        ("null", None),
        ("", None),
        (None, None),
        (7, None),
        ("member@example", None),
        ("member@@example.com", None),
        ("a@b@example.com", None),
        ("@example.com", None),
        ("member@-example.com", None),
        ("mem..ber@example.com", None),
        (".member@example.com", None),
        ("mem ber@example.com", None),
        ("a@example.com,b@example.com", None),
        ("x" * 65 + "@example.com", None),
        ("x@" + "y" * 60 + "." + ("z" * 60 + ".") * 4 + "com", None),
        ("x@" + "y." * 200_000 + "com", None),
    ],
)
def test_an_email_is_trimmed_and_lowered_or_left_out(value: object, expected: str | None) -> None:
    found = email(value)

    assert found == expected


@pytest.mark.parametrize(
    ("value", "region", "expected"),
    [
        ("911234500000", "", "+911234500000"),
        ("+91 12345-00000", "", "+911234500000"),
        ("00911234500000", "", "+911234500000"),
        (911234500000, "", "+911234500000"),
        ("9876543210", "", None),
        ("9876543210", "IN", "+919876543210"),
        ("9876543210", "in", "+919876543210"),
        ("911234500000", "US", "+911234500000"),
        ("98765", "IN", None),
        ("6055339127", "US", None),  # of the USA, or of Malaysia (60)
        ("+1 605 533 9127", "US", "+16055339127"),
        ("16055339127", "US", "+16055339127"),
        ("6055339127", "", "+6055339127"),
        ("95271230", "SG", None),  # of Singapore, or of Myanmar (95)
        ("1-800-FLOWERS", "US", None),
        ("91XXXXXX0000", "IN", None),  # masked by who sends it
        ("911234500000\r\n1", "", None),
        ("", "IN", None),
        ("null", "IN", None),
        (None, "IN", None),
        (True, "IN", None),
        ("9" * 33, "IN", None),
    ],
)
def test_a_phone_number_becomes_e164_or_is_left_out(
    value: object, region: str, expected: str | None
) -> None:
    identities = Identities(IdentitySettings(default_region=region))

    found = identities.phone(value)

    assert found == expected


def test_the_default_region_of_one_instance_does_not_reach_another() -> None:
    indian = Identities(IdentitySettings(default_region="IN"))
    nowhere = Identities(IdentitySettings())

    assert indian.phone("9876543210") == "+919876543210"
    assert nowhere.phone("9876543210") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (387979652, "387979652"),
        ("387979652", "387979652"),
        (387979652.0, "387979652"),
        (" abc ", "abc"),
        (0, None),
        (-1, None),
        ("-1", None),
        ("0", None),
        (True, None),
        (1.5, None),
        (None, None),
        ("NULL", None),
        ({}, None),
    ],
)
def test_a_customer_id_is_text_or_missing(value: object, expected: str | None) -> None:
    found = customer_id({"customerId": value})

    assert found == expected


@pytest.mark.parametrize(
    "value", ["", "  ", "null", "None", "UNDEFINED", "a\nb", "x" * 1025, None, 1.5]
)
def test_what_is_no_id_is_left_out(value: object) -> None:
    found = plain_id(value)

    assert found is None
