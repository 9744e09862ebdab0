"""A tenant's XDM schemas into files: asked for as Adobe wants it, found by the gate afterwards."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.errors import Misconfigured, TryAgain
from processor.operations.schemas.fetch import fetch_schemas
from processor.schemas.folder import SchemaFolder
from processor.settings import Settings
from processor.simulator.app import create_app
from processor.simulator.options import SimulatorOptions

ORG = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
HOST = "http://127.0.0.1"
ID = "https://ns.adobe.com/acme/schemas/{}"
TARGETS = ("event", "loyalty")


def target(name: str, schema: str = "") -> dict[str, str]:
    return {"inlet_id": name, "dataset_id": name, "schema_id": ID.format(schema or name)}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(*, directory: Path | None = tmp_path, **platform: Any) -> Settings:
        return Settings.model_validate(
            {
                "kafka": {"bootstrap_servers": "h:1", "topics": ["t"]},
                "schemas": {"directory": directory},
                "ims": {
                    "token_url": f"{HOST}/ims/token/v3",
                    "client_id": "c",
                    "client_secret": "s",
                },
                "experience_platform": {
                    "platform_endpoint": HOST,
                    "org_id": ORG,
                    "tenant": "acme",
                    "targets": {name: target(name) for name in TARGETS},
                    **platform,
                },
            }
        )

    return make


class Recorder(httpx.AsyncBaseTransport):
    """The simulator, with every request remembered and some answers put in its place."""

    def __init__(self, *instead: httpx.Response | Exception, **options: Any) -> None:
        app = create_app(SimulatorOptions(org_id=ORG, **options))
        self._inner = httpx.ASGITransport(app)
        self._instead = list(instead)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if "schemaregistry" in request.url.path and self._instead:
            answer = self._instead.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return await self._inner.handle_async_request(request)

    @property
    def asked(self) -> list[httpx.Request]:
        return [request for request in self.requests if "schemaregistry" in request.url.path]


async def test_each_targets_schema_is_written_where_the_gate_finds_it_by_its_id(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    own = settings()

    fetched = await fetch_schemas(own, transport=Recorder())

    assert [(one.targets, one.state, one.found) for one in fetched] == [
        ((name,), "written", True) for name in TARGETS
    ]
    folder = SchemaFolder.load(own.schemas)
    for name, configured in own.experience_platform.targets.items():
        schema = folder.xdm_schema(name, configured)
        assert schema.source == tmp_path / "xdm" / f"{name}.json"
        assert schema.tenant_owned
        assert stat.S_IMODE(schema.source.stat().st_mode) == 0o644
    assert [path.name for path in (tmp_path / "xdm").iterdir() if path.name.startswith(".")] == []


async def test_it_asks_as_adobe_documents_it(settings: Callable[..., Settings]) -> None:
    recorder = Recorder()

    await fetch_schemas(
        settings(sandbox_name="dev-1"), schema_id=ID.format("event"), transport=recorder
    )

    (request,) = recorder.asked
    assert request.url.raw_path == (
        b"/data/foundation/schemaregistry/tenant/schemas/"
        b"https%3A%2F%2Fns.adobe.com%2Facme%2Fschemas%2Fevent"
    )
    assert request.headers["accept"] == "application/vnd.adobe.xed-full+json; version=1"
    assert request.headers["authorization"].startswith("Bearer ")
    assert request.headers["x-api-key"] == "c"
    assert request.headers["x-gw-ims-org-id"] == ORG
    assert request.headers["x-sandbox-name"] == "dev-1"


async def test_a_schema_that_targets_share_is_fetched_once(
    settings: Callable[..., Settings],
) -> None:
    recorder = Recorder()
    targets = {"profile": target("profile"), "tier": target("tier", "profile")}

    fetched = await fetch_schemas(settings(targets=targets), transport=recorder)

    assert [(one.targets, Path(one.file).name) for one in fetched] == [
        (("profile", "tier"), "profile.json")
    ]
    assert len(recorder.asked) == 1


async def test_elsewhere_the_settings_have_to_name_the_file(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    output = tmp_path / "elsewhere"

    fetched = await fetch_schemas(settings(), output=output, transport=Recorder())

    assert [(one.found, one.setting) for one in fetched] == [
        (False, f'experience_platform.targets.{name}.xdm_schema = "{output / name}.json"')
        for name in TARGETS
    ]


async def test_any_schema_of_the_tenant_can_be_fetched(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (one,) = await fetch_schemas(
        settings(), schema_id=ID.format("my.profile_1"), transport=Recorder()
    )

    assert (one.file, one.targets) == (str(tmp_path / "xdm" / "my.profile_1.json"), ())


async def test_a_file_with_something_else_is_kept_without_force_and_nothing_is_written(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "xdm" / "loyalty.json"
    path.parent.mkdir()
    path.write_text("{}")

    with pytest.raises(Misconfigured, match=r"loyalty\.json is there already.*--force"):
        await fetch_schemas(settings(), transport=Recorder())
    assert [file.name for file in path.parent.iterdir()] == ["loyalty.json"]
    assert path.read_text() == "{}"

    forced = await fetch_schemas(settings(), force=True, transport=Recorder())
    again = await fetch_schemas(settings(), transport=Recorder())

    assert [one.state for one in forced] == ["written", "replaced"]
    assert [one.state for one in again] == ["unchanged", "unchanged"]


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (400, Misconfigured, "does not take the request (400)"),
        (403, Misconfigured, "View Schemas"),
        (404, Misconfigured, "The sandbox prod has no schema https://ns.adobe.com/acme/schemas/"),
        (406, Misconfigured, "does not take the request (406)"),
        (302, Misconfigured, "does not take the request (302)"),
        (429, TryAgain, "asks to wait (429)"),
        (500, TryAgain, "is away (500)"),
        (503, TryAgain, "is away (503)"),
    ],
)
async def test_a_refusal_says_what_to_do_and_nothing_of_what_was_sent(
    settings: Callable[..., Settings], tmp_path: Path, status: int, kind: Any, said: str
) -> None:
    answer = httpx.Response(status, headers={"retry-after": "7"}, text="canary Bearer token")

    with pytest.raises(kind) as caught:
        await fetch_schemas(settings(), transport=Recorder(answer))

    assert said in str(caught.value)
    assert "canary" not in str(caught.value)
    assert getattr(caught.value, "retry_after_s", 7) == 7
    assert not (tmp_path / "xdm").exists()


async def test_a_refused_token_is_replaced_once(settings: Callable[..., Settings]) -> None:
    once, twice = Recorder(httpx.Response(401)), Recorder(httpx.Response(401), httpx.Response(401))

    fetched = await fetch_schemas(settings(), transport=once)
    with pytest.raises(Misconfigured, match="refuses the token"):
        await fetch_schemas(settings(), transport=twice)

    assert len(fetched) == 2
    assert [r.url.path for r in once.requests].count("/ims/token/v3") == 2
    assert len(twice.asked) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (httpx.ConnectError("no"), TryAgain, "cannot be reached"),
        (httpx.Response(200, text="<html>"), TryAgain, "no JSON object"),
        (httpx.Response(200, json=[1]), TryAgain, "no JSON object"),
        (httpx.Response(200, json={"$id": "other"}), Misconfigured, "another schema"),
        (
            httpx.Response(200, json={"$id": ID.format("event"), "type": 7}),
            Misconfigured,
            "no JSON Schema that the gate can use",
        ),
    ],
)
async def test_an_answer_of_no_use_writes_nothing(
    settings: Callable[..., Settings], tmp_path: Path, answer: Any, kind: Any, said: str
) -> None:
    with pytest.raises(kind, match=said):
        await fetch_schemas(settings(), transport=Recorder(answer))

    assert not (tmp_path / "xdm").exists()


@pytest.mark.parametrize(
    ("directory", "output", "said"),
    [
        (None, None, "no folder to write to. Set schemas.directory, or give --output DIR"),
        (None, "no/such/place", "no/such/place cannot be written"),
    ],
)
async def test_without_a_place_to_write_to_it_says_so(
    settings: Callable[..., Settings],
    tmp_path: Path,
    directory: Path | None,
    output: str | None,
    said: str,
) -> None:
    place = None if output is None else tmp_path / output

    with pytest.raises(Misconfigured) as caught:
        await fetch_schemas(settings(directory=directory), output=place, transport=Recorder())

    assert said in str(caught.value)


async def test_the_token_goes_to_no_unsafe_place(settings: Callable[..., Settings]) -> None:
    recorder = Recorder()

    with pytest.raises(Misconfigured, match=r"platform_endpoint is http://"):
        await fetch_schemas(settings(platform_endpoint="http://other.host"), transport=recorder)

    assert recorder.requests == []


async def test_what_was_fetched_is_json_that_people_can_read(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    await fetch_schemas(settings(), transport=Recorder())

    text = (tmp_path / "xdm" / "event.json").read_text()
    assert text.startswith("{\n  ")
    assert text.endswith("}\n")
    assert json.loads(text)["meta:tenantNamespace"] == "_acme"
