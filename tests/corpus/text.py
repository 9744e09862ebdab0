"""B41 to B63, as far as they are about one record: text, JSON, identities, times, names."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from processor.errors import Code, FilterReason
from tests.corpus.inputs import as_avro, as_json, event, framed, json_text, raw, rewritten
from tests.corpus.own_event import GOOD, OWN_FOLDER, folder_with, own_event
from tests.corpus.rows import DELIVER, Check, Delivered, Row, dead_letter, filtered

JSON = dead_letter(Code.DECODE_JSON)
INVALID = dead_letter(Code.EVENT_INVALID)
VIOLATION = dead_letter(Code.GATE_VIOLATION)
TOO_LARGE = dead_letter(Code.GATE_TOO_LARGE)
NO_IDENTITY = dead_letter(Code.MAPPING_NO_IDENTITY)
WHO = "data.customerIdentifiers"
CONTROL = {
    "NUL": "a\0b",
    "an escape sequence": "\x1b[2J\x1b]0;owned\x07",
    "CR LF": "a\r\nSet-Cookie: b",
    "U+2028": "a\u2028b",
    "a right-to-left override": "abc\u202egnp.exe",
    "an emoji of 4 bytes": "\U0001f468\u200d\U0001f680",
    "combining marks": "a" + "\u0301" * 200,
    "a byte order mark": "\ufeffa",
    "non-characters": "\uffff\U0010ffff",
}
MARKUP = {
    "a script": "<script>alert(1)</script>",
    "an image": '"><img src=x onerror=alert(1)>',
    "a javascript URL": "javascript:alert(1)",
    "a template": "{{7*7}}${7*7}",
    "a formula": "=cmd|' /C calc'!A0",
}
PLACES = (
    "refId",
    "apiRequestId",
    "data.billNumber",
    "data.enteredBy.store.code",
    "data.enteredBy.till.code",
    "data.customFields",
)


def filled(text: str) -> dict[str, Any]:
    """A text in every free field of a transaction, keys of custom fields included."""
    return dict.fromkeys(PLACES[:-1], text) | {
        PLACES[-1]: [{"key": text, "value": text}],
        "traceAttributes": {text: text},
    }


def unchanged(text: str) -> Check:
    """The text arrives as it was, in each of its places."""

    def check(delivered: Sequence[Delivered]) -> None:
        entity = delivered[0].entity()
        said = entity["_acme"]["loyaltyEvent"]
        assert entity["commerce"]["order"]["purchaseOrderNumber"] == text
        assert entity["commerce"]["commerceScope"]["storeCode"] == text
        assert (said["refId"], said["apiRequestId"], said["tillCode"]) == (text, text, text)
        assert said["customFields"] == [{"key": text, "value": text}]

    return check


def identities(*expected: dict[str, str]) -> Check:
    """One mapping of namespace to id for each record; exactly one identity is primary."""

    def check(delivered: Sequence[Delivered]) -> None:
        for one, wanted in zip(delivered, expected, strict=True):
            for message in one.messages:
                found = message.entity["identityMap"]
                assert {space: items[0]["id"] for space, items in found.items()} == wanted
                assert sum(i["primary"] for items in found.values() for i in items) == 1

    return check


def ids(*expected: str) -> Check:
    """One ``_id`` for each record."""

    def check(delivered: Sequence[Delivered]) -> None:
        assert [one.entity()["_id"] for one in delivered] == list(expected)

    return check


def who(**given: Any) -> dict[str, Any]:
    """These identifiers and no others."""
    return {WHO: {"customerId": None, "instore": given}}


def known(**given: Any) -> dict[str, Any]:
    """A customer id, and these identifiers."""
    return {WHO: {"customerId": 7, "instore": given}}


def nested(depth: int) -> bytes:
    text = json.dumps(event())
    return f'{text[:-1]}, "more": {"[" * depth}{"]" * depth}}}'.encode()


def exact_number(delivered: Sequence[Delivered]) -> None:
    said = delivered[0].entity()["_acme"]["own"]
    assert said["number"] == 2**53 + 1


def own_place(delivered: Sequence[Delivered]) -> None:
    entity = delivered[0].entity()
    assert entity["_id"] == GOOD["eventId"]
    assert entity["_acme"]["own"]["trace"] == dict.fromkeys(RESERVED, "forged")
    assert set(entity["identityMap"]) == {"CapillaryCustomerId"}
    assert RESERVED[0] not in entity


def at(moment: str) -> Check:
    def check(delivered: Sequence[Delivered]) -> None:
        assert {one.entity()["timestamp"] for one in delivered} == {moment}

    return check


def same_id(delivered: Sequence[Delivered]) -> None:
    assert len({message.id for one in delivered for message in one.messages}) == 1
    assert [len(one.messages) for one in delivered] == [2, 2]


RESERVED = ("__proto__", "_id", "header", "identityMap", "body", "a.b", "constructor", "")
CLOSED: Mapping[str, Any] = {
    "xdm/event.json": {
        "$schema": "http://json-schema.org/draft-06/schema#",
        "type": "object",
        "meta:class": "https://ns.adobe.com/xdm/context/experienceevent",
        "properties": {
            "_id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "eventType": {"type": "string"},
            "identityMap": {"type": "object"},
        },
    }
}
ID = "4647d7b7-0000-4000-8000-000000000021"
CUSTOMER = {"CapillaryCustomerId": "7"}
BLANKS = ("", " ", "\t\n", "null", "NULL", "None", "n/a", "undefined")

TEXT = (
    *(
        Row("B41", f"{what} in every free text", as_avro("transactionAdded", filled(text)), DELIVER,
            check=unchanged(text))
        for what, text in CONTROL.items()
    ),
    Row("B41", "control characters in eventId", as_avro("transactionAdded",
        {"eventId": "a\x1b[2Jb"}), DELIVER,
        check=ids("51186_627e0021:transactionAdded:1750151313590:387979652"),
        reason="an unprintable id is no id; the next stable one takes its place"),
    Row("B41", "NUL in eventName", as_avro("transactionAdded", {"eventName": "transaction\0Added"}),
        INVALID, pointer="/eventName"),
    *(
        Row("B42", f"{what} in every free text", as_avro("transactionAdded", filled(text)), DELIVER,
            check=unchanged(text))
        for what, text in MARKUP.items()
    ),
    Row("B42", "a script for an event's name", as_json("transactionAdded",
        {"eventName": MARKUP["a script"]}), dead_letter(Code.EVENT_UNKNOWN), says="not a name"),
    Row("B43", "a lone surrogate in JSON", json_text("HSR-01", "HSR\\ud800"), JSON),
    Row("B43", "a lone surrogate in Avro", framed(lambda w: w.replace(b"SR-01", b"\xed\xa0\x80xx")),
        dead_letter(Code.DECODE_UTF8)),
    Row("B44", "whole numbers beyond 64 bits, in JSON", as_json("transactionAdded",
        {"eventLogId": 2**63}, {"eventLogId": 2**64}, {"eventLogId": 10**30},
        {"eventLogId": -(2**63) - 1}), INVALID, pointer="/eventLogId"),
    Row("B44", "a rule whose result is beyond 64 bits", own_event(number=2**62),
        dead_letter(Code.MAPPING_TYPE),
        folder=folder_with("EXPRESSION", "number * number", "_tenant.own.product")),
    Row("B45", "2^53+1 where XDM has a long", as_avro("transactionAdded",
        {"eventLogId": 2**53 + 1}), VIOLATION, pointer="/_acme/loyaltyEvent/eventLogId",
        reason="XDM's long ends at 2^53-1"),
    Row("B45", "2^53+1 where the schema says nothing", own_event(number=2**53 + 1), DELIVER,
        check=exact_number, folder=OWN_FOLDER, reason="every digit arrives"),
    Row("B46", "a text of 1 MB", as_avro("transactionAdded", {"data.billNumber": "x" * 1_000_000}),
        TOO_LARGE),
    Row("B46", "an event of more than 10 KB", as_avro("transactionAdded",
        {"data.billNumber": "x" * 10_000}), TOO_LARGE),
    Row("B46", "a record of more than 100 KB", as_avro("customerAdded", {"data.customFields":
        [{"key": f"k{i}", "value": "x" * 100} for i in range(1_000)]}), TOO_LARGE),
    Row("B46", "a record of 50 KB", as_avro("customerAdded", {"data.customFields":
        [{"key": f"k{i}", "value": "x" * 100} for i in range(400)]}), DELIVER),
    Row("B46", "an event of more than 10 KB, to be sent all the same", as_avro("transactionAdded",
        {"data.billNumber": "x" * 10_000}), DELIVER,
        settings={"gate": {"on_profile_limit": "send"}}),
    Row("B46", "a value of more than 4 MB", as_avro("transactionAdded",
        {"data.billNumber": "x" * 4_200_000}), dead_letter(Code.DECODE_LIMIT)),
    Row("B47", "NaN in JSON", json_text("90", "NaN"), JSON),
    Row("B47", "Infinity in JSON", json_text("90", "-Infinity"), JSON),
    Row("B47", "null for an amount", as_json("transactionAdded", {"data.amount": None}), DELIVER),
    Row("B48", "JSON 2,000 levels deep", raw(nested(2_000)), JSON),
    Row("B48", "JSON 1,000,000 levels deep", raw(nested(1_000_000)),
        dead_letter(Code.DECODE_LIMIT)),
    Row("B48", "JSON 1,000 levels deep in a field that is left out", raw(nested(1_000)), DELIVER),
    Row("B48", "4 MB of JSON values", raw(b'{"a":[' + b"1," * 2_000_000 + b"1]}"),
        dead_letter(Code.DECODE_LIMIT)),
    Row("B49", "reserved names as keys of a map that is mapped",
        own_event(trace=dict.fromkeys(RESERVED, "forged")), DELIVER, check=own_place,
        folder=OWN_FOLDER),
    Row("B49", "reserved names as keys of the event", as_json("transactionAdded",
        dict.fromkeys(("__proto__", "_id", "header", "identityMap", "body"), "forged")), DELIVER,
        check=ids(ID)),
    Row("B49", "reserved names as keys of custom fields", as_avro("transactionAdded",
        {"data.customFields": [{"key": name, "value": "forged"} for name in RESERVED]}), DELIVER,
        check=ids(ID)),
)  # fmt: skip

IDENTITIES = (
    Row("B50", "blank and null texts beside a customer id", as_avro("transactionAdded",
        *(known(email=text, mobile=text, externalId=text) for text in BLANKS)), DELIVER,
        check=identities(*[CUSTOMER] * len(BLANKS)),
        settings={"identity": {"external_id": "ExternalId"}}),
    Row("B50", "blank and null texts, and nothing else", as_avro("transactionAdded",
        *(who(email=text, mobile=text) for text in BLANKS)), NO_IDENTITY,
        pointer="/data/customerIdentifiers"),
    Row("B50", "no identifiers, empty ones, a customer id of 0 and -1", as_avro("transactionAdded",
        {WHO: None}, who(), {WHO: {"customerId": 0}}, {WHO: {"customerId": -1}}), NO_IDENTITY),
    Row("B50", "blank and null texts in a profile", as_avro("customerAdded",
        *(known(email=text, mobile=text) for text in BLANKS)), DELIVER,
        check=identities(*[CUSTOMER] * len(BLANKS))),
    Row("B51", "an e-mail address with CR LF, of 64 KB, with two @, without", as_avro(
        "transactionAdded", *(known(email=text) for text in ("a@example.com\r\nBcc: b@example.com",
        "a" * 65_536 + "@example.com", "a@b@example.com", "nobody"))), DELIVER,
        check=identities(*[CUSTOMER] * 4)),
    Row("B51", "the same in a profile, which goes without an address", as_avro("customerAdded",
        known(email="a b@example.com"), known(email="a@b\r\nc")), DELIVER,
        check=identities(CUSTOMER, CUSTOMER)),
    Row("B51", "no address at all in a profile", as_avro("customerAdded", known(email="@"),
        known(email="-")), DELIVER, check=identities(CUSTOMER, CUSTOMER)),
    Row("B51", "an international domain in a profile, which goes without an address", as_avro(
        "customerAdded", known(email="ann@b\u00fccher.example")), DELIVER,
        check=identities({**CUSTOMER, "Email": "ann@b\u00fccher.example"}),
        reason="JSON Schema's «email» is ASCII; what Adobe's validator does is not documented"),
    Row("B51", "an e-mail address in upper case, with blanks around", as_avro("transactionAdded",
        known(email=" ANN@Example.COM ")), DELIVER,
        check=identities({**CUSTOMER, "Email": "ann@example.com"})),
    Row("B51", "an e-mail address of an international domain", as_avro("transactionAdded",
        known(email="ann@b\u00fccher.example")), DELIVER,
        check=identities({**CUSTOMER, "Email": "ann@b\u00fccher.example"})),
    Row("B52", "phone numbers in four spellings", as_avro("transactionAdded",
        *(known(mobile=text) for text in ("+91 98765 43210", "919876543210", "0091-98765-43210",
        "+91 (98765) 43210"))), DELIVER,
        check=identities(*[{**CUSTOMER, "Phone": "+919876543210"}] * 4)),
    Row("B52", "a phone number without its country, no region set", as_avro("transactionAdded",
        known(mobile="09876543210")), DELIVER, check=identities(CUSTOMER)),
    Row("B52", "a phone number without its country, region IN", as_avro("transactionAdded",
        known(mobile="09876543210")), DELIVER,
        check=identities({**CUSTOMER, "Phone": "+919876543210"}),
        settings={"identity": {"default_region": "IN"}}),
    Row("B52", "letters, too few digits, other scripts, 10,000 digits", as_avro("transactionAdded",
        *(known(mobile=text) for text in ("1-800-FLOWERS", "12", "\u0669" * 11, "9" * 10_000))),
        DELIVER, check=identities(*[CUSTOMER] * 4)),
    Row("B53", "identities of every kind: exactly one is primary", as_avro("transactionAdded", {},
        who(email="a@example.com", mobile="919876543210")), DELIVER, check=identities(
        {"CapillaryCustomerId": "387979652", "Email": "asha.rivera@example.com",
         "Phone": "+12025550143", "ExternalId": "EXT-1001"},
        {"Email": "a@example.com", "Phone": "+919876543210"}),
        settings={"identity": {"external_id": "ExternalId"}}),
)  # fmt: skip

NAMES_AND_TIMES = (
    Row("B54", "an event of tomorrow", as_avro("pointsIssued", {"createdAt": 4_102_444_800_000}),
        VIOLATION, pointer="/timestamp"),
    Row("B54", "no createdAt", as_json("transactionAdded", {"createdAt": ...}), INVALID,
        pointer="/createdAt"),
    Row("B54", "no time of the bill", as_avro("transactionAdded",
        {"data.billDate": None, "data.enteredAt": None}), DELIVER,
        check=at("2025-06-17T09:08:33.590Z"), reason="when Capillary stored it"),
    Row("B54", "no eventId", as_avro("transactionAdded", {"eventId": None}, {"eventId": " "},
        {"eventId": "null"}), DELIVER,
        check=ids(*["51186_627e0021:transactionAdded:1750151313590:387979652"] * 3)),
    Row("B54", "no eventId and no refId, twice", as_avro("pointsIssued",
        *[{"eventId": None, "refId": None}] * 2), DELIVER, check=same_id),
    Row("B55", "a name that Capillary does not document", as_json("transactionAdded",
        {"eventName": "pointsTeleported"}), dead_letter(Code.EVENT_UNKNOWN),
        pointer="/eventName", says="pointsTeleported"),
    Row("B55", "the same, left out by setting", as_json("transactionAdded",
        {"eventName": "pointsTeleported"}), filtered(FilterReason.UNKNOWN_EVENT),
        settings={"converter": {"on_unknown_event": "filter"}}),
    Row("B55", "the right name in another case", as_json("transactionAdded",
        {"eventName": "TransactionAdded"}), dead_letter(Code.EVENT_UNKNOWN)),
    Row("B55", "the right name with blanks around", as_json("transactionAdded",
        {"eventName": " transactionAdded "}), DELIVER),
    Row("B55", "a documented event without a mapping", as_json("transactionAdded",
        {"eventName": "groupCreated"}), filtered(FilterReason.UNMAPPED_EVENT)),
    Row("B55", "the same, dead-lettered by setting", as_json("transactionAdded",
        {"eventName": "groupCreated"}), dead_letter(Code.EVENT_UNMAPPED),
        settings={"converter": {"on_unmapped_event": "dead_letter"}}),
    Row("B55", "wrapped in attributes", as_json(wrap=lambda made: {"attributes": made}), DELIVER),
    Row("B55", "wrapped in data.data", as_json(wrap=lambda made: {"data": made}), DELIVER),
    Row("B55", "wrapped in event.body", as_json(wrap=lambda made: {"event": {"body": made}}),
        DELIVER),
    Row("B55", "wrapped twice", as_json(wrap=lambda made: {"attributes": {"attributes": made}}),
        INVALID, pointer="/eventName"),
    Row("B55", "no name at all", as_json("transactionAdded", {"eventName": ...}), INVALID,
        pointer="/eventName"),
    Row("B55", "a name that is null, a number, a list", as_json("transactionAdded",
        {"eventName": None}, {"eventName": 7}, {"eventName": ["transactionAdded"]}), INVALID,
        pointer="/eventName"),
    Row("B55", "another organisation's event", as_avro(), dead_letter(Code.EVENT_WRONG_ORG),
        settings={"capillary": {"org_ids": [1]}}),
    Row("B56", "numbers as text", as_json("transactionAdded", {"data.amount": "812.50"},
        {"data.amount": "1,234"}, {"data.amount": "1e309"}), INVALID, pointer="/data/amount"),
    Row("B56", "1e309 as a number", json_text("90,", "1e309,"), JSON,
        reason="no JSON reader of ours makes an infinity of it"),
    Row("B56", "a list where an object belongs, and the reverse", as_json("transactionAdded",
        {"data": []}, {"data": 1}, {"data": "x"}), INVALID, pointer="/data"),
    Row("B57", "a field that the tenant's own schema does not have", as_avro(), VIOLATION,
        folder=CLOSED, says="extraneous key"),
    Row("B57", "the same, not in our guess at it", own_event(), DELIVER, folder=OWN_FOLDER,
        reason="counted as a warning: only the tenant's own schema can tell"),
    Row("B61", "a Kafka timestamp of none, 0 and in 2100", lambda registry: [
        as_avro(timestamp_ms=moment)(registry)[0] for moment in (None, 0, 4_102_444_800_000)],
        DELIVER, check=at("2025-06-17T09:08:32.000Z"), reason="it is no time of the event"),
    Row("B63", "an exact duplicate", as_avro("pointsIssued", {}, {}), DELIVER, check=same_id),
    Row("B63", "a duplicate written with another schema", lambda registry: [
        *as_avro("pointsIssued")(registry),
        *rewritten(lambda fields: fields[::-1], name="pointsIssued")(registry)], DELIVER,
        check=same_id),
)  # fmt: skip

ROWS = (*TEXT, *IDENTITIES, *NAMES_AND_TIMES)
