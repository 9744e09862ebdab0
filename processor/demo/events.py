"""Invented Capillary events for the demo and for load: the same seed gives the same events."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

FIRST_NAMES = ("Asha", "Bruno", "Chen", "Dina", "Emeka", "Farah", "Goran", "Hana", "Ines", "Jonas")
LAST_NAMES = ("Almeida", "Banerjee", "Castro", "Dietrich", "Eze", "Fischer", "Gupta", "Haddad")
STORES = ("BLR-01", "BOM-07", "DXB-02", "LHR-11", "SIN-04")
PROGRAMME = {
    "id": 2649,
    "name": "Green Card",
    "isDefault": True,
    "pointsToCurrencyRatio": 5.0,
    "tiers": [{"tierNumber": 1, "tierName": "CLASSIC"}, {"tierNumber": 2, "tierName": "SILVER"}],
}
ORG_ID = 51186
BEGIN_MS = 1_750_000_000_000
"""2025-06-15; times of the events count up from here, so that they always lie in the past."""

FEEDS: Mapping[str, tuple[str, ...]] = {
    "pointsIssued": ("event", "loyalty"),
    "transactionAdded": ("event",),
    "customerAdded": ("event", "profile"),
    "tierUpgraded": ("event", "tier"),
}
"""The kinds of events that are made, and the targets that each has a message for."""

WEIGHTS = (60, 30, 6, 4)


class SampleEvents:
    """Makes events of the kinds in `FEEDS`, which feed every target.

    Args:
        seed: of everything that is drawn.
        customers: how many different customers there are.
        in_turn: one customer after the other, instead of drawing each.
    """

    def __init__(self, seed: int = 7, customers: int = 500, *, in_turn: bool = False) -> None:
        self._random = random.Random(seed)
        self._customers = customers
        self._in_turn = in_turn
        self._number = 0
        self._points: dict[int, int] = {}

    def mixed(self, count: int) -> Iterator[dict[str, Any]]:
        """So many events: six of ten about points, three about purchases, the rest the others."""
        for _ in range(count):
            yield self.of(self._random.choices(list(FEEDS), weights=WEIGHTS)[0])

    def of(self, name: str) -> dict[str, Any]:
        """One event of this name, which is in `FEEDS`."""
        self._number += 1
        turn = self._number % self._customers
        customer = 1 + (turn if self._in_turn else self._random.randrange(self._customers))
        make = {
            "pointsIssued": self._points_issued,
            "transactionAdded": self._transaction_added,
            "customerAdded": self._customer_added,
            "tierUpgraded": self._tier_upgraded,
        }[name]
        created_ms = BEGIN_MS + self._number * 1_000
        reference = f"{self._random.getrandbits(32):08x}"
        return {
            "eventName": name,
            "eventId": f"{reference}-0000-4000-8000-{self._number:012d}",
            "eventLogId": 39_000_000 + self._number,
            "orgId": ORG_ID,
            "refId": f"{ORG_ID}_{reference}",
            "apiRequestId": reference,
            "createdAt": created_ms,
            "data": make(customer, created_ms),
        }

    def identifiers(self, customer: int) -> dict[str, Any]:
        """Capillary's ``customerIdentifiers``; as in life, an e-mail is not always there."""
        instore: dict[str, Any] = {"id": customer, "mobile": f"9190000{customer:05d}"}
        if customer % 3:
            instore["email"] = f"member{customer}@example.com"
        first = FIRST_NAMES[customer % len(FIRST_NAMES)]
        last = LAST_NAMES[customer % len(LAST_NAMES)]
        return {
            "customerId": 387_000_000 + customer,
            "loyaltyType": "loyalty",
            "firstName": first,
            "lastName": last,
            "instore": instore,
        }

    def _store(self) -> dict[str, Any]:
        code = self._random.choice(STORES)
        return {"id": 7, "till": {"code": f"{code}-T1"}, "store": {"code": code}}

    def _points_issued(self, customer: int, _created_ms: int) -> dict[str, Any]:
        issued = self._random.randrange(1, 200)
        total = self._points[customer] = self._points.get(customer, 0) + issued
        with_expiry = self._number % 10 == 0
        return {
            "customerIdentifiers": self.identifiers(customer),
            "entityInformation": {"entityType": "USER", "entityId": 387_000_000 + customer},
            "triggeringActivity": {
                "name": "TransactionAdd",
                "identifiers": [{"key": "BillId", "value": str(self._random.getrandbits(31))}],
                "enteredBy": self._store(),
            },
            "loyaltyProgramDetails": PROGRAMME,
            "loyaltyProgramId": PROGRAMME["id"],
            "programCurrentPoints": float(total),
            "programLifetimePoints": float(total),
            "totalPointsIssued": float(issued),
            "regularPointsIssued": float(issued),
            "regularPointsBreakup": [{"points": float(issued), "expiryAt": "2026-06-30"}]
            if with_expiry
            else [],
            "promotionalPointsIssued": [],
            "promisedPointsIssued": [],
        }

    def _transaction_added(self, customer: int, created_ms: int) -> dict[str, Any]:
        gross = round(self._random.uniform(5, 900), 2)
        discount = round(gross * self._random.choice((0, 0, 0.05, 0.1)), 2)
        return {
            "customerIdentifiers": self.identifiers(customer),
            "transactionId": 2_152_000_000 + self._number,
            "billNumber": f"B-{self._number:07d}",
            "billType": "REGULAR",
            "billDate": created_ms,
            "enteredAt": created_ms,
            "amount": round(gross - discount, 2),
            "grossAmount": gross,
            "discount": discount,
            "currencyCode": "INR",
            "lineItemCount": self._random.randrange(1, 9),
            "deliveryStatus": "DELIVERED",
            "enteredBy": self._store(),
        }

    def _customer_added(self, customer: int, created_ms: int) -> dict[str, Any]:
        identifiers = self.identifiers(customer)
        return {
            "customerIdentifiers": identifiers,
            "loyaltyType": "LOYALTY",
            "source": "INSTORE",
            "firstName": identifiers["firstName"],
            "lastName": identifiers["lastName"],
            "enteredAt": created_ms,
            "enteredBy": self._store(),
        }

    def _tier_upgraded(self, customer: int, _created_ms: int) -> dict[str, Any]:
        return {
            "customerIdentifiers": self.identifiers(customer),
            "triggeringActivity": {"name": "SlabUpgrade", "enteredBy": self._store()},
            "loyaltyProgramDetails": PROGRAMME,
            "loyaltyProgramId": PROGRAMME["id"],
            "previousTierNumber": 1,
            "upgradedTierNumber": 2,
            "upgradeType": "STRATEGY",
            "tierExpiryDate": "2026-06-30",
        }
