import base64
import json
import random
import string
import urllib.parse
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.telemetry.redaction import MAX_TEXT_CHARACTERS, Redactor

CANARIES = [
    "canary-4711",
    "p8e-Canary_~.4711",
    'can"ary\\4711/&+%=#',
    "canäry 4711 €",
    "p@ss:word?4711",
]

FORMS: dict[str, Callable[[str], str]] = {
    "in clear": str,
    "in quotes": repr,
    "as bytes": lambda secret: repr(secret.encode()),
    "URL-encoded": urllib.parse.quote,
    "URL-encoded with slashes": lambda secret: urllib.parse.quote(secret, safe=""),
    "URL-encoded in a form": lambda secret: urllib.parse.urlencode({"client_secret": secret}),
    "URL-encoded in lower case": lambda secret: urllib.parse.quote_plus(secret).lower(),
    "by httpx in a query": lambda secret: str(httpx.URL("https://x/", params={"s": secret})),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 without padding": lambda secret: (
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
    ),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False),
}


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.register(secret)
    return made


@pytest.mark.parametrize("secret", CANARIES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_masked_in_every_form(secret: str, form: Callable[[str], str]) -> None:
    written = form(secret)

    shown = redactor(secret).text(f"before {written} after")

    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "********" in shown
    assert "4711" not in shown
    assert form(secret) not in shown


@given(st.integers(0, 2**32))
def test_a_secret_inside_base64_is_masked_wherever_it_begins(seed: int) -> None:
    chance = random.Random(seed)
    letters = string.ascii_letters + string.digits
    secret = "".join(chance.choices(letters, k=chance.randint(12, 40)))
    user = "".join(chance.choices(letters, k=chance.randint(0, 20)))
    header = base64.b64encode(f"{user}:{secret}".encode()).decode()

    shown = redactor(secret).text(f"Proxy-Authorization is {header}")

    # At most one character on each side also holds bits of its neighbour and stays.
    kept = shown.removeprefix("Proxy-Authorization is ").split("********")
    whole = base64.b64encode(f"{user}:".encode()).decode().rstrip("=")
    assert len(kept) == 2
    assert len(kept[0]) <= len(whole) + 1
    assert len(kept[1].rstrip("=")) <= 1


def test_a_bearer_token_is_masked_even_when_unknown() -> None:
    shown = redactor().text("Authorization: Bearer eyJhbGciOi.J9-x_y~z+/= and so on")

    assert shown == "Authorization: Bearer ******** and so on"


def test_very_short_secrets_do_not_mask_ordinary_words() -> None:
    assert redactor("", "a", "abc").text("abc and a") == "abc and a"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    shown = redactor("canary", "canary-longer").text("canary-longer canary")

    assert shown == "******** ********"


def test_overlapping_secrets_are_both_masked_whole() -> None:
    shown = redactor("with canary", "canary-4711", "4711 and").text("a with canary-4711 and b")

    assert shown == "a ******** b"


def test_secrets_side_by_side_are_both_masked() -> None:
    assert redactor("canary-1", "canary-2").text("canary-1canary-2.") in {
        "********.",
        "****************.",
    }


def test_each_line_of_a_private_key_is_masked() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----"

    assert "MIIE" not in redactor(key).text("line MIIEvQIBADANBgkqhkiG9w0 of it")


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "sasl.password",
        "client_secret",
        "access_token",
        "x-api-key",
        "Authorization",
        "proxy-authorization",
        "CLIENT_SECRET",
        "key",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
    ],
)
def test_values_under_secret_keys_are_masked(key: str) -> None:
    assert redactor().value(key, "anything") == "********"
    assert redactor().value(key, 4711) == "********"
    assert redactor().value("outer", {key: "anything"}) == {key: "********"}


@pytest.mark.parametrize("key", ["client_secret_file", "keys", "token_count", "monkeys_seen"])
def test_values_under_other_keys_stay(key: str) -> None:
    assert redactor().value(key, "plain") == "plain"


def test_what_says_nothing_stays() -> None:
    assert redactor().value("password", None) is None
    assert redactor().value("password", "") == ""
    assert redactor().value("token", False) is False
    assert redactor().value("count", 3) == 3


class Chatty:
    def __repr__(self) -> str:
        return "Chatty(canary-4711)"


def test_secrets_deep_inside_are_masked() -> None:
    mask = redactor("canary-4711")

    assert mask.value("x", [{"y": ("canary-4711", Chatty())}]) == [
        {"y": ["********", "Chatty(********)"]}
    ]
    assert mask.value("x", {"canary-4711": 1}) == {"********": 1}


def test_endless_nesting_ends() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop

    assert "again" in str(redactor().value("x", loop))


def test_long_texts_are_cut_after_masking() -> None:
    secret = "canary-" + "4711" * 10
    text = "x" * (MAX_TEXT_CHARACTERS - 10) + secret

    shown = redactor(secret).value("x", text)

    assert "canary" not in shown
    assert len(redactor().value("x", "x" * 50_000)) < MAX_TEXT_CHARACTERS + 50


def test_control_characters_are_spelt_out() -> None:
    shown = redactor().value("topic", "a\x1b[31m\r\nlevel=ERROR \x9b \u202e\u2028\ud800")

    assert shown == r"a\x1b[31m\r\nlevel=ERROR \x9b \u202e\u2028\ud800"


def test_a_traceback_keeps_its_lines_but_cannot_begin_one() -> None:
    shown = redactor().value("exception", "Traceback:\n{forged line}\x1b")

    assert shown == "Traceback:\n    {forged line}\\x1b"
