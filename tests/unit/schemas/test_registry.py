"""What the registry's answers mean, and that it never sees or says too much."""

import asyncio
import base64
import gzip
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.schemas.registry import SchemaKey, SchemaRegistry, subject_name
from processor.settings import SchemaRegistrySettings

SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "f", "type": "int"}]}
NOT_FOUND = {"error_code": 40403, "message": "Schema 7 not found"}
BOMB = gzip.compress(bytes(10_000_000))
Answer = httpx.Response | Exception


class ScriptedRegistry(httpx.AsyncBaseTransport):
    """Gives the answer that stands for a path, and remembers the requests."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers[request.url.raw_path.decode()]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answering(answers: dict[str, Answer], **more: Any) -> SchemaRegistry:
    settings = SchemaRegistrySettings(**{"url": "http://registry:8081/api/"} | more)
    return SchemaRegistry(settings, ScriptedRegistry(answers))


def with_id_7(answer: Answer, **more: Any) -> SchemaRegistry:
    return answering({"/api/schemas/ids/7": answer}, **more)


def found(schema: Any, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"schema": json.dumps(schema), **more})


async def test_a_schema_is_fetched_by_its_id() -> None:
    registry = with_id_7(found(SCHEMA))

    schema = await registry.fetch(SchemaKey(7))
    await registry.aclose()

    assert schema.read(b"\x02") == {"f": 1}


async def test_a_schema_is_fetched_by_its_guid() -> None:
    guid = uuid.uuid4()
    registry = answering({f"/api/schemas/guids/{guid}": found(SCHEMA)})

    assert (await registry.fetch(SchemaKey(guid))).name == "R"


@pytest.mark.parametrize("of_id", [httpx.Response(404, json=NOT_FOUND), found(SCHEMA)])
async def test_a_registry_without_guids_does_not_have_the_schema(of_id: httpx.Response) -> None:
    guid = uuid.uuid4()
    registry = answering(
        {f"/api/schemas/guids/{guid}": httpx.Response(404), "/api/schemas/ids/1": of_id}
    )

    with pytest.raises(Refused, match="GUID") as caught:
        await registry.fetch(SchemaKey(guid))

    assert caught.value.code is Code.DECODE_UNKNOWN_SCHEMA_ID


@pytest.mark.parametrize(
    ("of_id", "fault"),
    [
        (httpx.Response(404), Misconfigured),
        (httpx.Response(200, json=["AVRO"]), Misconfigured),
        (httpx.Response(401), Misconfigured),
        (httpx.Response(503), TryAgain),
    ],
)
async def test_what_does_not_prove_to_be_a_registry_convicts_no_guid(
    of_id: httpx.Response, fault: type[Exception]
) -> None:
    guid = uuid.uuid4()
    registry = answering(
        {f"/api/schemas/guids/{guid}": httpx.Response(404), "/api/schemas/ids/1": of_id}
    )

    with pytest.raises(fault):
        await registry.fetch(SchemaKey(guid))


LATEST = "/api/subjects/t-R/versions/latest"


async def test_the_latest_version_of_a_subject() -> None:
    there = answering({LATEST: found(SCHEMA, subject="t-R", version=3)})
    missing = answering({LATEST: httpx.Response(404, json={"error_code": 40401})})

    latest = await there.latest("t-R")

    assert latest is not None
    assert latest.name == "R"
    assert await missing.latest("t-R") is None


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (found({}, schemaType="PROTOBUF"), Refused),
        (found({"type": "record", "name": "R"}), Refused),
        (httpx.Response(404), Misconfigured),
        (httpx.Response(503), TryAgain),
    ],
)
async def test_a_latest_version_that_cannot_be_had(
    answer: httpx.Response, fault: type[Exception]
) -> None:
    with pytest.raises(fault):
        await answering({LATEST: answer}).latest("t-R")


async def test_what_a_schema_refers_to_is_fetched_once_and_put_in() -> None:
    outer = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "x.A"}, {"name": "b", "type": "x.B"}],
    }
    middle = {
        "type": "record",
        "name": "A",
        "namespace": "x",
        "fields": [{"name": "b", "type": "B"}],
    }
    inner = {"type": "enum", "name": "x.B", "symbols": ["ONE"]}

    def to(subject: str) -> dict[str, Any]:
        return {"name": subject, "subject": subject, "version": 1}

    transport = ScriptedRegistry(
        {
            "/api/schemas/ids/7": found(outer, references=[to("a/1"), to("b")]),
            "/api/subjects/a%2F1/versions/1": found(middle, references=[to("b")]),
            "/api/subjects/b/versions/1": found(inner),
        }
    )
    registry = SchemaRegistry(SchemaRegistrySettings(url="http://registry/api"), transport)

    schema = await registry.fetch(SchemaKey(7))

    assert schema.read(b"\x00\x00") == {"a": {"b": "ONE"}, "b": "ONE"}
    assert len(transport.requests) == 3


class EndlessReferences(httpx.AsyncBaseTransport):
    """Every schema refers to a further one."""

    count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        further = {"name": "x", "subject": f"s{self.count}", "version": 1}
        return found({**SCHEMA, "name": f"R{self.count}"}, references=[further])


A_NAME = {"name": "x", "subject": "s", "version": 1}
WRAPPED = {
    **SCHEMA,
    "fields": [{"name": "f", "type": {"name": "z", "type": ["null", "x"]}}],
}


async def outcome(registry: SchemaRegistry) -> str:
    try:
        return (await registry.fetch(SchemaKey(7))).name
    except Refused as refused:
        return refused.code


@pytest.mark.parametrize(
    ("schema", "reference", "expected"),
    [
        (WRAPPED, A_NAME, "R"),
        ({"name": "z", "type": {"type": "map", "values": "x"}}, A_NAME, Code.DECODE_SCHEMA_REFUSED),
        ({"name": [], "type": "record"}, A_NAME, Code.DECODE_SCHEMA_REFUSED),
        (SCHEMA, {"subject": "\ud800", "version": 1}, "R"),
    ],
    ids=["a union with a name", "a map with a name", "a name that is none", "half a character"],
)
async def test_what_is_odd_in_a_schema_that_refers_to_others_is_no_defect_of_ours(
    schema: Any, reference: Any, expected: str
) -> None:
    document = {"schema": json.dumps(schema), "references": [reference]}
    registry = answering(
        {
            "/api/schemas/ids/7": httpx.Response(200, content=json.dumps(document).encode()),
            "/api/subjects/s/versions/1": found({**SCHEMA, "name": "x"}),
        }
    )

    assert await outcome(registry) == expected


async def test_references_that_multiply_are_refused() -> None:
    """What is no named type is put in each time it is used: eight to the power of twelve here."""
    names = [f"a{number}" for number in range(13)]
    answers: dict[str, Answer] = {
        f"/api/subjects/{name}/versions/1": found(
            {"type": "array", "name": name, "items": [following] * 8}
        )
        for name, following in itertools.pairwise(names)
    }
    references = [{"subject": name, "version": 1} for name in names[:-1]]
    outer = {**SCHEMA, "fields": [{"name": "f", "type": "a0"}]}
    registry = answering({"/api/schemas/ids/7": found(outer, references=references), **answers})

    with pytest.raises(Refused) as caught:
        await registry.fetch(SchemaKey(7))

    assert caught.value.code is Code.DECODE_SCHEMA_REFUSED


async def test_references_without_end_are_refused() -> None:
    endless = EndlessReferences()
    registry = SchemaRegistry(SchemaRegistrySettings(url="http://registry"), endless)

    with pytest.raises(Refused) as caught:
        await registry.fetch(SchemaKey(7))

    assert caught.value.code is Code.DECODE_SCHEMA_REFUSED
    assert endless.count < 300


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(404, json=NOT_FOUND), Code.DECODE_UNKNOWN_SCHEMA_ID),
        (found(SCHEMA, schemaType="PROTOBUF"), Code.DECODE_WRONG_SCHEMA_TYPE),
        (found(SCHEMA, schemaType="JSON"), Code.DECODE_WRONG_SCHEMA_TYPE),
        (found("string"), Code.DECODE_SCHEMA_REFUSED),
        (found({"type": "record"}), Code.DECODE_SCHEMA_REFUSED),
        (httpx.Response(200, content=b"x" * 3_000_000), Code.DECODE_SCHEMA_REFUSED),
    ],
)
async def test_a_schema_that_cannot_be_used_is_the_records_fault(
    answer: httpx.Response, code: Code
) -> None:
    with pytest.raises(Refused) as caught:
        await with_id_7(answer).fetch(SchemaKey(7))

    assert caught.value.code is code


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(408),
        httpx.Response(500),
        httpx.Response(503, content=b"x" * 3_000_000),
    ],
)
async def test_a_registry_that_is_away_is_the_moments_fault(answer: Answer) -> None:
    with pytest.raises(TryAgain) as caught:
        await with_id_7(answer).fetch(SchemaKey(7))

    assert caught.value.reason == "schema_registry"


class Dribble(httpx.AsyncByteStream):
    """A body that begins and never ends."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()


async def test_a_registry_whose_answer_never_ends_is_the_moments_fault() -> None:
    transport = ScriptedRegistry({"/schemas/ids/7": httpx.Response(200, stream=Dribble())})
    settings = SchemaRegistrySettings(url="http://registry:8081")

    with pytest.raises(TryAgain, match="did not answer within"):
        await SchemaRegistry(settings, transport, whole_s=0.01).fetch(SchemaKey(7))


@pytest.mark.parametrize(("text", "expected"), [("7", 7.0), ("soon", None), ("-1", None)])
async def test_an_overloaded_registry_says_how_long_to_wait(
    text: str, expected: float | None
) -> None:
    with pytest.raises(TryAgain) as caught:
        await with_id_7(httpx.Response(429, headers={"retry-after": text})).fetch(SchemaKey(7))

    assert caught.value.retry_after_s == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(401), "credentials"),
        (httpx.Response(403), "credentials"),
        (httpx.Response(301, headers={"location": "http://elsewhere/"}), "answered 301"),
        (httpx.Response(404, text="<html>"), "answered 404"),
        (httpx.Response(404, json={"error_code": 404}), "answered 404"),
        (httpx.Response(200, text="<html>"), "not a JSON object"),
        (httpx.Response(200, content=BOMB, headers={"content-encoding": "gzip"}), "compressed"),
        (httpx.Response(200, json=[]), "not a JSON object"),
        (httpx.Response(200, json={"status": "ok"}), "holds no schema"),
    ],
)
async def test_what_is_no_registry_or_refuses_us_is_the_set_ups_fault(
    answer: httpx.Response, expected: str
) -> None:
    with pytest.raises(Misconfigured, match=expected) as caught:
        await with_id_7(answer).fetch(SchemaKey(7))

    assert caught.value.reason == "schema_registry"


@pytest.mark.parametrize("url", ["ftp://registry", "http://re gistry:x", "registry"])
async def test_an_url_that_is_none_is_the_set_ups_fault(url: str) -> None:
    registry = SchemaRegistry(SchemaRegistrySettings(url=url))

    with pytest.raises(Misconfigured, match="schema_registry"):
        await registry.fetch(SchemaKey(7))


async def test_a_password_is_sent_read_anew_and_never_said(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first-one\n")
    transport = ScriptedRegistry({"/schemas/ids/7": httpx.Response(401)})
    registry = SchemaRegistry(
        SchemaRegistrySettings(
            url="http://someone:in-the-url@registry", username="me", password_file=file
        ),
        transport,
    )

    said = []
    for secret in ("first-one", "second-secret"):
        file.write_text(f"{secret}\n")
        with pytest.raises(Misconfigured) as caught:
            await registry.fetch(SchemaKey(7))
        said.append(str(caught.value))

    sent = [request.headers["authorization"] for request in transport.requests]
    assert sent == [
        "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
        for secret in ("first-one", "second-secret")
    ]
    assert "http://registry " in said[0]
    assert not any(word in text for text in said for word in ("first", "second", "in-the-url"))


async def test_without_a_user_name_nothing_is_sent() -> None:
    transport = ScriptedRegistry({"/schemas/ids/7": found(SCHEMA)})
    settings = SchemaRegistrySettings(url="http://registry", password=SecretStr("unused"))

    await SchemaRegistry(settings, transport).fetch(SchemaKey(7))

    assert "authorization" not in transport.requests[0].headers


async def test_a_schema_is_registered_under_its_subject() -> None:
    transport = ScriptedRegistry({"/subjects/t-a.R/versions": httpx.Response(200, json={"id": 9})})
    registry = SchemaRegistry(SchemaRegistrySettings(url="http://registry"), transport)

    schema_id = await registry.register("t-a.R", SCHEMA)

    sent = json.loads(transport.requests[0].content)
    assert schema_id == 9
    assert json.loads(sent["schema"]) == SCHEMA


@pytest.mark.parametrize("status", [409, 422])
async def test_a_schema_that_is_not_taken_is_the_set_ups_fault(status: int) -> None:
    refusing = httpx.Response(status, json={"error_code": status, "message": "no"})
    registry = answering({"/api/subjects/s/versions": refusing})

    with pytest.raises(Misconfigured, match=str(status)):
        await registry.register("s", SCHEMA)


async def test_a_registration_without_an_id_is_no_registrys() -> None:
    registry = answering({"/api/subjects/s/versions": httpx.Response(200, json={})})

    with pytest.raises(Misconfigured, match="gave no id"):
        await registry.register("s", SCHEMA)


def test_a_certificate_file_that_is_none_is_the_set_ups_fault(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="ca_file"):
        SchemaRegistry(SchemaRegistrySettings(url="https://r", ca_file=tmp_path / "none.pem"))


def test_subjects_are_named_by_the_strategy() -> None:
    names: list[Callable[[], str]] = [
        lambda: subject_name("topic", "t", "a.R"),
        lambda: subject_name("record", "t", "a.R"),
        lambda: subject_name("topic_record", "t", "a.R"),
    ]

    assert [name() for name in names] == ["t-value", "a.R", "t-a.R"]
