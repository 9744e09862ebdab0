"""The Schema Registry API as the simulator plays it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from processor.simulator.options import Inlet
from tests.unit.simulator.conftest import EVENT_ID, ORG, Simulation

Simulate = Callable[..., Any]
PATH = "/data/foundation/schemaregistry/tenant/schemas/"
ACCEPT = "application/vnd.adobe.xed-full+json; version=1"


async def get(
    simulation: Simulation, schema_id: str = EVENT_ID, **headers: str | None
) -> httpx.Response:
    given = {
        "authorization": simulation.headers.get("authorization"),
        "accept": ACCEPT,
        "x-api-key": "client",
        "x-gw-ims-org-id": ORG,
        "x-sandbox-name": "prod",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    kept = {name: value for name, value in given.items() if value is not None}
    return await simulation.client.get(
        PATH + quote(schema_id, safe=""), headers={"accept": "", **kept}
    )


async def test_a_schema_comes_under_its_id_in_the_tenants_namespace(simulate: Simulate) -> None:
    simulation = await simulate()

    answer = await get(simulation)

    schema = answer.json()
    assert (answer.status_code, schema["$id"]) == (200, EVENT_ID)
    assert "_acme" in schema["properties"]
    assert "_tenant" not in schema["properties"]
    assert schema["required"] == ["_id", "timestamp"]
    assert (await simulation.see("requests"))["counts"]["schemas"] == 1


async def test_an_inlets_schema_is_found_by_the_inlets_schema_id(simulate: Simulate) -> None:
    inlet = Inlet("i", "loyalty", schema_id="https://ns.adobe.com/beta/schemas/9f")
    simulation = await simulate(inlets=(inlet,), tenant="beta")

    answer = await get(simulation, "https://ns.adobe.com/beta/schemas/9f")

    assert answer.json()["$id"] == "https://ns.adobe.com/beta/schemas/9f"
    assert "loyalty" in answer.json()["properties"]
    assert "_beta" in answer.json()["properties"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": None}, 403, "403010"),
        ({"authorization": "Bearer other"}, 401, "401013"),
        ({"x_api_key": None}, 403, "403000"),
        ({"x_api_key": "other"}, 403, "403003"),
        ({"x_gw_ims_org_id": None}, 400, "400003"),
        ({"x_gw_ims_org_id": "0" * 24 + "@AdobeOrg"}, 403, "403025"),
        ({"x_gw_ims_org_id": "mine"}, 403, "403025"),
        ({"x_sandbox_name": None}, 400, None),
        ({"accept": None}, 406, None),
        ({"accept": "application/json"}, 406, None),
        ({"accept": "application/vnd.adobe.xed-full+json"}, 400, None),
    ],
)
async def test_a_request_that_lacks_something_is_refused(
    simulate: Simulate, headers: dict[str, Any], status: int, code: str | None
) -> None:
    simulation = await simulate(org_id=ORG, client_id="client", client_secrets=("secret",))

    answer = await get(simulation, **headers)

    assert (answer.status_code, answer.json().get("error_code")) == (status, code)


async def test_an_unknown_schema_is_404(simulate: Simulate) -> None:
    answer = await get(await simulate(), "https://ns.adobe.com/acme/schemas/none")

    assert (answer.status_code, answer.json()["status"]) == (404, 404)


async def test_its_answers_can_be_scripted_apart_from_the_inlets(simulate: Simulate) -> None:
    simulation = await simulate()
    await simulation.script(
        {"scope": "collection", "status": 500},
        {"scope": "schemas", "status": 429, "retry_after": "7"},
    )

    first, second = await get(simulation), await get(simulation)
    refused = await simulation.script({"scope": "schemas", "inlet": "x", "status": 500})

    assert (first.status_code, first.headers["retry-after"]) == (429, "7")
    assert second.status_code == 200
    assert refused.status_code == 400
    assert "scope schemas knows no inlet" in refused.text
