from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import processor
from processor.admin.connect.configuration import CONNECTOR_CLASS
from processor.admin.connect.plugins import definitions, validated
from processor.settings import tables_of

Ask = Callable[..., httpx.AsyncClient]
VALIDATE = "/connector-plugins/CapillaryAepSink/config/validate"
DEFINITION = {
    "name",
    "type",
    "required",
    "default_value",
    "importance",
    "documentation",
    "group",
    "width",
    "display_name",
    "dependents",
    "order",
}


@pytest.fixture
async def client(ask: Ask) -> AsyncIterator[httpx.AsyncClient]:
    async with ask() as opened:
        yield opened


def value_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    found = [one["value"] for one in body["configs"] if one["value"]["name"] == name]
    assert len(found) == 1
    value: dict[str, Any] = found[0]
    return value


@pytest.mark.parametrize("query", ["", "?connectorsOnly=false"])
async def test_the_plugin(query: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/connector-plugins{query}")

    assert answer.json() == [
        {"class": CONNECTOR_CLASS, "type": "sink", "version": processor.__version__}
    ]


async def test_its_definitions(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/connector-plugins/{CONNECTOR_CLASS}/config")
    by_name = {one["name"]: one for one in answer.json()}

    assert all(one.keys() == DEFINITION for one in by_name.values())
    assert by_name["ims.client_secret"]["type"] == "PASSWORD"
    assert by_name["kafka.topics"]["type"] == "LIST"
    assert by_name["schemas.builtin"]["default_value"] == "true"
    assert by_name["tasks.max"] == {
        "name": "tasks.max",
        "type": "INT",
        "required": False,
        "default_value": "1",
        "importance": "MEDIUM",
        "documentation": "a whole number above 0",
        "group": "tasks",
        "width": "MEDIUM",
        "display_name": "max",
        "dependents": [],
        "order": 2,
    }


async def test_what_is_configured_is_valid(client: httpx.AsyncClient) -> None:
    config = (await client.get("/connectors/ours/config")).json()

    answer = await client.put(VALIDATE, json=config)
    body = answer.json()

    assert (answer.status_code, body["name"], body["error_count"]) == (200, "CapillaryAepSink", 0)
    assert {one["definition"]["group"] for one in body["configs"]} == set(body["groups"])
    assert value_of(body, "tasks.max")["value"] == "2"
    assert value_of(body, "experience_platform.targets.event.inlet_id")["value"] == "i"


async def test_what_is_wrong_is_said_where_it_stands_and_no_secret_comes_back(
    client: httpx.AsyncClient,
) -> None:
    config = (await client.get("/connectors/ours/config")).json() | {
        "tasks.max": "x",
        "tasks_max": "x",
        "ims.client_secret": "hush-hush",
        "ims.client_secrett": "hush-hush",
        "kafka.properties.sasl.password": "hush-hush",
        "ims.proxy": "http://user:hush-hush@proxy:1",
        "experience_platform.proxy": "http://[hush-hush",
        "ims.token_url": "http://169.254.169.254/latest",
    }

    answer = await client.put(VALIDATE, json=config)
    body = answer.json()

    assert "hush" not in answer.text
    assert value_of(body, "tasks.max")["errors"] == []
    assert value_of(body, "tasks_max")["errors"] == ["give a whole number above 0."]
    assert value_of(body, "ims.client_secrett") == {
        "name": "ims.client_secrett",
        "value": None,
        "recommended_values": [],
        "errors": ["no such setting; did you mean ims.client_secret?"],
        "visible": True,
    }
    assert "metadata address" in value_of(body, "ims.token_url")["errors"][0]
    said = [error for one in body["configs"] for error in one["value"]["errors"]]
    assert body["error_count"] == len(said)


async def test_no_file_is_looked_for(client: httpx.AsyncClient) -> None:
    config = (await client.get("/connectors/ours/config")).json()
    config |= {"ims.ca_file": "/no/such/file", "schemas.directory": "/no/such/directory"}

    body = (await client.put(VALIDATE, json=config)).json()

    assert body["error_count"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (VALIDATE, {}, 400, "Connector config contains no connector type"),
        (
            VALIDATE,
            {"connector.class": "Other"},
            400,
            "Included connector type Other does not match request type CapillaryAepSink",
        ),
        (
            "/connector-plugins/Nobody/config/validate",
            {"connector.class": "Nobody"},
            404,
            "Unknown plugin Nobody.",
        ),
        (VALIDATE, [1], 400, "Give the configuration as an object of names and texts."),
        (VALIDATE, {"connector.class": {}}, 400, "'connector.class' has to be a text."),
    ],
)
async def test_what_cannot_be_validated(
    path: str, body: Any, status: int, message: str, client: httpx.AsyncClient
) -> None:
    answer = await client.put(path, json=body)

    assert (answer.status_code, answer.json()["message"]) == (status, message)


async def test_an_unknown_plugin_has_no_definitions(client: httpx.AsyncClient) -> None:
    answer = await client.get("/connector-plugins/Nobody/config")

    assert (answer.status_code, answer.json()["message"]) == (404, "Unknown plugin Nobody.")


@given(
    st.dictionaries(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(["kafka", "kafka.topics.x", "kafka.properties", "ims", "ims."]),
            st.sampled_from(sorted(definitions())),
        ),
        st.text(max_size=20),
        max_size=8,
    )
)
def test_whatever_is_given_is_judged(config: dict[str, str]) -> None:
    body = validated({**config, "connector.class": CONNECTOR_CLASS})

    names = [one["value"]["name"] for one in body["configs"]]
    assert len(names) == len(set(names))
    assert body["error_count"] > 0


def test_a_name_with_dots_stays_one_name_where_names_are_free() -> None:
    assert tables_of(
        {
            "kafka.properties.sasl.password": "p",
            "kafka.topics": "a, b",
            "experience_platform.targets.event.inlet_id": "i",
            "no.such.thing": "x",
        }
    ) == {
        "kafka": {"properties": {"sasl.password": "p"}, "topics": ["a", "b"]},
        "experience_platform": {"targets": {"event": {"inlet_id": "i"}}},
        "no": {"such": {"thing": "x"}},
    }
