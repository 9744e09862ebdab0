"""A simulator with small schemas of its own, in process or behind a real socket."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.simulator.app import create_app
from processor.simulator.options import SimulatorOptions
from processor.simulator.server import SimulatorServer
from processor.simulator.world import World

ORG = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
EVENT_ID = "https://ns.adobe.com/acme/schemas/small-event"
LOYALTY_ID = "https://ns.adobe.com/acme/schemas/small-loyalty"
CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
IDENTITY_MAP = {
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "authenticatedState": {
                    "type": "string",
                    "enum": ["ambiguous", "authenticated", "loggedOut"],
                },
                "primary": {"type": "boolean"},
            },
        },
    },
}
EVENT = {
    "$id": EVENT_ID,
    "$schema": "http://json-schema.org/draft-06/schema#",
    "meta:class": "https://ns.adobe.com/xdm/context/experienceevent",
    "type": "object",
    "required": ["_id", "timestamp"],
    "properties": {
        "_id": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "eventType": {"type": "string"},
        "identityMap": IDENTITY_MAP,
        "commerce": {
            "type": "object",
            "properties": {
                "currencyCode": {"type": "string", "pattern": "^[A-Z]{3}$"},
                "orderType": {"type": "string", "enum": ["checkout", "instant_purchase"]},
                "priceTotal": {"type": "number", "minimum": 0},
                "lines": {"type": "array", "items": {"type": "integer"}},
            },
        },
        "_tenant": {
            "type": "object",
            "properties": {
                "eventId": {"type": "string"},
                "note": {"type": "string"},
                "day": {"type": "string", "format": "date"},
            },
        },
    },
}
LOYALTY = {
    "$id": LOYALTY_ID,
    "$schema": "http://json-schema.org/draft-06/schema#",
    "meta:class": "https://ns.adobe.com/xdm/context/profile",
    "type": "object",
    "properties": {
        "_id": {"type": "string"},
        "identityMap": IDENTITY_MAP,
        "loyalty": {
            "type": "object",
            "properties": {
                "points": {"type": "number"},
                "tier": {"type": "string"},
                "loyaltyID": {"type": "array", "items": {"type": "string"}},
            },
        },
        "_tenant": {"type": "object", "properties": {"note": {"type": "string"}}},
    },
}


class Clock:
    """Monotonic seconds that only move when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Simulation:
    """A simulator and a client that talks to it."""

    def __init__(
        self, client: httpx.AsyncClient, world: World | None = None, clock: Clock | None = None
    ) -> None:
        self.client = client
        self.world = world
        self.clock = clock or Clock()
        self.headers = {"content-type": "application/json"}

    async def authorise(self) -> str:
        answer = await self.ask_token()
        token: str = answer.json()["access_token"]
        self.headers["authorization"] = f"Bearer {token}"
        return token

    async def ask_token(self, version: str = "/v3", **fields: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": "client",
            "client_secret": "secret",
            "scope": "openid,AdobeID",
        }
        return await self.client.post(f"/ims/token{version}", data={**form, **fields})

    async def batch(self, *messages: object, inlet: str = "evt", **headers: str) -> httpx.Response:
        body = json.dumps({"messages": messages}).encode()
        return await self.client.post(
            f"/collection/batch/{inlet}", content=body, headers={**self.headers, **headers}
        )

    async def single(
        self, message: object, *, inlet: str = "evt", query: str = "", **headers: str
    ) -> httpx.Response:
        return await self.client.post(
            f"/collection/{inlet}{query}",
            content=json.dumps(message).encode(),
            headers={**self.headers, **headers},
        )

    async def script(self, *faults: dict[str, Any]) -> httpx.Response:
        return await self.client.post("/simulator/faults", json={"faults": faults})

    async def see(self, what: str) -> Any:
        answer = await self.client.get(f"/simulator/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def envelope(entity: object, schema_id: str, dataset: str, **header: object) -> dict[str, Any]:
    reference = {"id": schema_id, "contentType": CONTENT_TYPE}
    return {
        "header": {
            "schemaRef": reference,
            "imsOrgId": ORG,
            "datasetId": dataset,
            "flowId": "flow",
            "createdAt": "1526283801869",
            **header,
        },
        "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": entity},
    }


def identities(customer: str) -> dict[str, Any]:
    return {
        "Email": [{"id": "member@example.com", "authenticatedState": "ambiguous"}],
        "CapillaryCustomerId": [
            {"id": customer, "authenticatedState": "authenticated", "primary": True}
        ],
    }


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    def build(event_id: str = "E1", customer: str = "7", **more: object) -> dict[str, Any]:
        entity = {
            "_id": event_id,
            "timestamp": "2025-07-14T12:00:00Z",
            "identityMap": identities(customer),
            **more,
        }
        return envelope(entity, EVENT_ID, "events")

    return build


@pytest.fixture
def loyalty() -> Callable[..., dict[str, Any]]:
    def build(customer: str = "7", **loyalty: object) -> dict[str, Any]:
        entity = {"identityMap": identities(customer), "loyalty": loyalty}
        return envelope(entity, LOYALTY_ID, "balances")

    return build


@pytest.fixture
def merge() -> Callable[..., dict[str, Any]]:
    def build(customer: str = "7", data: str = "merge", **loyalty: object) -> dict[str, Any]:
        operations = {"data": data, "identity": "create", "identityDatasetId": "other"}
        return {
            "header": {
                "flowId": "flow",
                "imsOrgId": ORG,
                "datasetId": "balances",
                "operations": operations,
            },
            "body": {"identityMap": identities(customer), "loyalty": loyalty},
        }

    return build


@pytest.fixture
def schemas_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "xdm"
    directory.mkdir()
    (directory / "event.json").write_text(json.dumps(EVENT))
    (directory / "loyalty.json").write_text(json.dumps(LOYALTY))
    return directory


@pytest.fixture
async def simulate(schemas_directory: Path) -> AsyncIterator[Callable[..., Any]]:
    """A simulator in process; its clock stands still."""
    async with AsyncExitStack() as stack:

        async def start(*, authorised: bool = True, **options: Any) -> Simulation:
            given = {"schemas_directory": schemas_directory, **options}
            clock = Clock()
            world = World(
                SimulatorOptions(**given),
                clock=clock,
                now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            )
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(create_app(world=world)),
                    base_url="http://simulator",
                )
            )
            simulation = Simulation(client, world, clock)
            if authorised:
                await simulation.authorise()
            return simulation

        yield start


@pytest.fixture
async def serve(schemas_directory: Path) -> AsyncIterator[Callable[..., Any]]:
    """A simulator behind a loopback socket."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Simulation:
            given = {"schemas_directory": schemas_directory, **options}
            server = SimulatorServer("127.0.0.1", 0, SimulatorOptions(**given))
            await server.start()
            stack.push_async_callback(server.stop)
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=server.url, timeout=10)
            )
            simulation = Simulation(client)
            await simulation.authorise()
            return simulation

        yield start
