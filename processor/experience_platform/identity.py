"""Who an event is about: Capillary's customer identifiers as an ``identityMap``."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import phonenumbers

from processor.errors import Code, Refused
from processor.settings.models import IdentitySettings

AuthenticatedState = Literal["ambiguous", "authenticated", "loggedOut"]

PHONE_CACHE_SIZE = 65_536
"""Numbers remembered, in about 15 MB. Parsing one takes 18 us, looking it up 0.1 us (measured)."""

MAX_ID_CHARACTERS = 1024
MAX_EMAIL_CHARACTERS = 254
"""RFC 5321: a path is at most 256 octets with its angle brackets."""

_NO_VALUE = frozenset({"", "null", "none", "nil", "nan", "undefined", "n/a", "(null)", "<null>"})
_EMAIL = re.compile(
    r"[^\s@,;:<>()\[\]\\\"]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_](?:[\w-]{0,61}[^\W_])"
)
_PHONE = re.compile(r"\+?[0-9 ().\-/]{6,32}")
_WHOLE_NUMBER = re.compile(r"-?[0-9]+")


class Identities:
    """Turns ``customerIdentifiers`` into an ``identityMap`` with exactly one primary identity.

    The customer id is the only identifier that Capillary always sends, and the only one that
    cannot belong to two people, so it is primary and ``authenticated``. The others come from a
    till or a form and are ``ambiguous``. Where the customer id is missing (or its namespace is
    left out), the strongest of the others takes its place: external id, e-mail, phone; it keeps
    its state. What is blank, implausible or the text ``null`` is left out: one wrong value shared
    by many would link them into one person.

    Source: domain facts 2.4 and 3.10 (AEP's rules for identityMap).
    """

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings
        # A cache of its own per instance: the default region is part of the answer.
        self._e164 = lru_cache(maxsize=PHONE_CACHE_SIZE)(self._parse_phone)

    def identity_map(
        self, customer_identifiers: Mapping[str, Any], merged: Mapping[str, Any] | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Make the ``identityMap`` of one customer.

        Args:
            customer_identifiers: ``customerId`` and ``instore`` as Capillary documents them; any
                part may be missing or `None`.
            merged: likewise of a customer who was merged into this one; its customer id alone
                joins, because its e-mail and phone may be anybody's by now.

        Returns:
            Namespace to items ``{"id", "authenticatedState", "primary"}``; one primary in all.

        Raises:
            Refused: no usable identity (``mapping.no_identity``).
        """
        settings = self._settings
        instore = customer_identifiers.get("instore")
        if not isinstance(instore, Mapping):
            instore = {}
        found: list[tuple[str, str | None, AuthenticatedState]] = [
            (settings.primary, customer_id(customer_identifiers), "authenticated"),
            (settings.external_id, plain_id(instore.get("externalId")), "ambiguous"),
            (settings.email, email(instore.get("email")), "ambiguous"),
            (settings.phone, self.phone(instore.get("mobile")), "ambiguous"),
        ]
        identities: dict[str, list[dict[str, Any]]] = {}
        primary = True
        for namespace, value, state in found:
            if not namespace or value is None:
                continue
            items = identities.setdefault(namespace, [])
            if any(item["id"] == value for item in items):
                continue  # a namespace that two settings share, and an id that stands in both
            items.append({"id": value, "authenticatedState": state, "primary": primary})
            primary = False
        if not identities:
            raise Refused(
                "No usable identity: customerIdentifiers holds no customer id and no other"
                " identifier that the settings [identity] ask for.",
                code=Code.MAPPING_NO_IDENTITY,
                pointer="/data/customerIdentifiers",
            )
        self._join(identities, customer_id(merged or {}))
        return identities

    def _join(self, identities: dict[str, list[dict[str, Any]]], value: str | None) -> None:
        namespace = self._settings.primary
        if not namespace or value is None:
            return
        known = identities.setdefault(namespace, [])
        if all(item["id"] != value for item in known):
            known.append({"id": value, "authenticatedState": "authenticated", "primary": False})

    def phone(self, value: object) -> str | None:
        """A phone number in E.164, such as ``+911234500000``; `None` when it is not one.

        Capillary stores a country code without its plus, so the digits are read with a plus in
        front; where there is a default region, as a number of that region, too. Digits that are a
        number of each, and not the same one, are left out: of ten-digit numbers of the USA every
        tenth is one, and the identity of a stranger cannot be taken back.
        """
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return None
        text = value.strip()
        return self._e164(text) if _PHONE.fullmatch(text) else None

    def _parse_phone(self, text: str) -> str | None:
        international = "+" + text.removeprefix("+").removeprefix("00")
        numbers = [_number(international, None)]
        if not text.startswith("+") and self._settings.default_region:
            numbers.append(_number(text, self._settings.default_region.upper()))
        found = {
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            for number in numbers
            if number is not None
        }
        return found.pop() if len(found) == 1 else None


def customer_id(customer_identifiers: Mapping[str, Any]) -> str | None:
    """Capillary's customer id as text; `None` when it is missing, blank, zero or negative."""
    value = customer_identifiers.get("customerId")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value > 0 else None
    text = plain_id(value)
    if text is not None and _WHOLE_NUMBER.fullmatch(text) and int(text) <= 0:
        return None
    return text


def plain_id(value: object) -> str | None:
    """An opaque id without outer blanks; `None` when it is no text, blank, "null" or unprintable.

    The longest id that is kept has 1,024 characters.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if len(text) > MAX_ID_CHARACTERS or text.lower() in _NO_VALUE or not text.isprintable():
        return None
    return text


def email(value: object) -> str | None:
    """An e-mail address, trimmed and in lower case; `None` when it is not plausible.

    AEP compares ids by their letters, so ``Ann@Example.com`` would be another person.
    """
    if not isinstance(value, str) or len(value) > MAX_EMAIL_CHARACTERS + 64:
        return None
    text = value.strip().lower()
    if len(text) > MAX_EMAIL_CHARACTERS or not text.isprintable():
        return None
    local = text.partition("@")[0]
    if local.startswith(".") or local.endswith(".") or ".." in text:
        return None
    return text if _EMAIL.fullmatch(text) else None


def _number(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None
