import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from processor.operations.checks.check import check
from processor.operations.checks.finding import Finding, apart, ok
from processor.operations.checks.host import check_admin, check_secrets
from processor.operations.checks.kafka import check_kafka
from processor.operations.checks.platform import check_platform
from processor.schemas.folder import SchemaFolder, builtin_directory
from processor.settings import AdminSettings, Settings
from processor.simulator.app import create_app as simulator_app
from processor.simulator.options import SimulatorOptions

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INLET = "/collection/batch/inlet-of-event"
VALIDATION = "/collection/inlet-of-event"
INVALID = "inletId: [x] imsOrgId: [y] Message is invalid"

Answer = tuple[int, dict[str, Any]]


class ScriptedAdobe:
    """IMS, one inlet and a registry, each with the answer that the test sets."""

    def __init__(self) -> None:
        self.ims: Answer = (
            200,
            {"access_token": "t" * 40, "token_type": "bearer", "expires_in": 86399},
        )
        self.inlet: Answer = (400, {"title": "x", "report": {"message": "no messages"}})
        self.secrets: dict[str, Answer] = {}
        self.validation: Answer = (400, {"title": "x", "report": {"message": INVALID}})
        self.subjects: dict[str, Answer] = {}
        self.registry: Answer = (404, {"error_code": 40403, "message": "Schema not found"})
        self.date: str | None = format_datetime(NOW, usegmt=True)
        self.unreachable: set[str] = set()
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if request.url.host in self.unreachable:
            raise httpx.ConnectError("no route")
        headers = {"date": self.date} if self.date else {}
        if request.url.host == "ims.example.com":
            secret = parse_qs(request.content.decode())["client_secret"][0]
            status, body = self.secrets.get(secret, self.ims)
        elif request.url.path.startswith("/subjects/"):
            name = request.url.path.split("/")[2]
            status, body = self.subjects.get(name, (404, {"error_code": 40401}))
        elif request.url.host == "registry.example.com":
            status, body = self.registry
        elif request.url.path == INLET:
            status, body = self.inlet
        elif request.url.path == VALIDATION:
            status, body = self.validation
        else:
            status, body = 404, {}
        return httpx.Response(status, json=body, headers=headers)


@pytest.fixture
def adobe() -> ScriptedAdobe:
    return ScriptedAdobe()


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:1", "topics": ["capillary.events"]},
            "schema_registry": {"url": "https://registry.example.com"},
            "ims": {
                "token_url": "https://ims.example.com/ims/token",
                "client_id": "the-client",
                "client_secret": "the-secret-canary",
            },
            "experience_platform": {
                "endpoint": "https://dcs.example.com",
                "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
                "tenant": "acme",
                "targets": {
                    "event": {
                        "inlet_id": "inlet-of-event",
                        "dataset_id": "dataset",
                        "schema_id": "https://ns.adobe.com/acme/schemas/1",
                    }
                },
            },
        }
    )


async def gathered(findings: AsyncIterator[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding async for finding in findings}


async def platform(
    settings: Settings, adobe: ScriptedAdobe, *, ahead: timedelta = timedelta()
) -> dict[str, Finding]:
    return await gathered(
        check_platform(settings, transport=httpx.MockTransport(adobe), now=lambda: NOW + ahead)
    )


def statuses(findings: Iterable[Finding]) -> set[str]:
    return {finding.status for finding in findings}


async def test_a_platform_that_works(settings: Settings, adobe: ScriptedAdobe) -> None:
    found = await platform(settings, adobe)

    assert list(found) == ["clock", "token", "target event", "organisation at event"]
    assert statuses(found.values()) == {"ok"}
    assert found["token"].message == "IMS gave one for ims.client_secret"


async def test_inlets_get_no_message(settings: Settings, adobe: ScriptedAdobe) -> None:
    await platform(settings, adobe)

    (asked,) = [request for request in adobe.seen if request.url.path == INLET]
    assert asked.method == "POST"
    assert json.loads(asked.content) == {"messages": []}
    assert asked.headers["authorization"] == f"Bearer {'t' * 40}"


async def test_credentials_go_nowhere_but_where_they_belong(
    settings: Settings, adobe: ScriptedAdobe
) -> None:
    await platform(settings, adobe)

    for request in adobe.seen:
        assert "canary" not in str(request.url)
        of_inlet = request.url.path in {INLET, VALIDATION}
        assert ("authorization" in request.headers) == of_inlet
        if request.url.host != "ims.example.com":
            assert b"canary" not in request.content
    (ims,) = [request for request in adobe.seen if request.url.host == "ims.example.com"]
    assert parse_qs(ims.content.decode())["client_secret"] == ["the-secret-canary"]


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((200, {}), "ok", "its inlet answers"),
        ((207, {"responses": []}), "ok", "its inlet answers"),
        ((400, {}), "ok", "refuses a request without messages (400), as it should"),
        ((401, {}), "bad", "refuses the token (401). Check that ims.client_id"),
        ((403, {}), "bad", "refuses the token (403)"),
        ((404, {}), "bad", "inlet_id"),
        ((302, {}), "bad", "endpoint"),
        ((429, {}), "bad", "takes no requests now (429). Try again later."),
        ((500, {}), "warning", "answered 500 to no messages"),
        ((503, {}), "bad", "takes no requests now (503)"),
    ],
)
async def test_what_an_inlet_answers(
    settings: Settings, adobe: ScriptedAdobe, answer: Answer, status: str, words: str
) -> None:
    adobe.inlet = answer

    finding = (await platform(settings, adobe))["target event"]

    assert finding.status == status
    assert words in f"{finding.message} {finding.mend}"


async def test_an_inlet_that_is_not_there(settings: Settings, adobe: ScriptedAdobe) -> None:
    adobe.unreachable.add("dcs.example.com")

    found = await platform(settings, adobe)

    assert found["endpoint"].status == found["target event"].status == "bad"
    assert "https://dcs.example.com cannot be reached" in found["endpoint"].message


async def test_without_a_token_inlets_are_not_asked(
    settings: Settings, adobe: ScriptedAdobe
) -> None:
    adobe.ims = (400, {"error": "invalid_client", "error_description": "invalid client_secret"})

    found = await platform(settings, adobe)

    assert found["token"].status == "bad"
    assert found["token"].mend
    assert found["target event"].status == "skipped"
    assert "canary" not in str(found)


async def test_ims_that_is_away(settings: Settings, adobe: ScriptedAdobe) -> None:
    adobe.unreachable.add("ims.example.com")

    finding = (await platform(settings, adobe))["token"]

    assert finding.status == "bad"
    assert "ims.token_url" in finding.mend


@pytest.mark.parametrize(
    ("ahead_s", "status", "words"),
    [
        (29, "ok", "agrees"),
        (-29, "ok", "agrees"),
        (31, "warning", "31 s ahead of"),
        (-299, "warning", "299 s behind"),
        (300, "bad", "300 s ahead of"),
        (-86_400, "bad", "86400 s behind"),
    ],
)
async def test_how_far_the_clock_is_off(
    settings: Settings, adobe: ScriptedAdobe, ahead_s: int, status: str, words: str
) -> None:
    found = await platform(settings, adobe, ahead=timedelta(seconds=ahead_s))

    assert found["clock"].status == status
    assert words in found["clock"].message


@pytest.mark.parametrize("date", [None, "some day"])
async def test_an_answer_without_a_time_says_nothing_about_the_clock(
    settings: Settings, adobe: ScriptedAdobe, date: str | None
) -> None:
    adobe.date = date

    assert (await platform(settings, adobe))["clock"].status == "skipped"


def test_no_broker_is_one_clear_sentence_and_soon(settings: Settings) -> None:
    begun = time.monotonic()

    findings = list(check_kafka(settings, metadata_s=1.0))

    assert time.monotonic() - begun < 30
    (finding,) = findings
    assert finding.message == (
        "No Kafka broker of 127.0.0.1:1 answers: Connect to ipv4#127.0.0.1:1 failed: "
        "Connection refused."
    )
    assert "kafka.bootstrap_servers" in findings[0].mend


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"no.such.property": 1}, 'No such configuration property: "no.such.property"'),
        ({"security.protocol": "TLS"}, 'for configuration property "security.protocol"'),
        ({"sasl.password_file": "/no/such"}, "kafka.properties.sasl.password_file: /no/such"),
    ],
)
def test_properties_that_librdkafka_does_not_take(
    settings: Settings, properties: dict[str, Any], words: str
) -> None:
    kafka = settings.kafka.model_copy(update={"properties": properties})

    (finding,) = check_kafka(settings.model_copy(update={"kafka": kafka}))

    assert finding.status == "bad"
    assert words in finding.message
    assert finding.mend


Whole = Callable[..., Any]


async def whole(settings: Settings, adobe: ScriptedAdobe) -> dict[str, Finding]:
    transport = httpx.MockTransport(adobe)
    return await gathered(check(settings, offline=False, transport=transport, metadata_s=0.5))


async def test_everything_is_looked_at_even_when_the_first_is_bad(
    settings: Settings, adobe: ScriptedAdobe
) -> None:
    found = await whole(settings, adobe)

    assert found["kafka"].status == "bad"
    assert found["schema registry"].status == "ok"
    assert found["token"].status == "ok"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((404, {"error_code": 40403, "message": "Schema not found"}), "ok"),
        ((401, {"error_code": 40101, "message": "Unauthorized"}), "bad"),
        ((404, {"detail": "some other server"}), "bad"),
        ((503, {}), "bad"),
    ],
)
async def test_what_a_registry_answers(
    settings: Settings, adobe: ScriptedAdobe, answer: Answer, status: str
) -> None:
    adobe.registry = answer

    finding = (await whole(settings, adobe))["schema registry"]

    assert finding.status == status
    assert bool(finding.mend) == (status == "bad")


async def test_no_registry_is_no_fault(settings: Settings, adobe: ScriptedAdobe) -> None:
    alone = settings.model_copy(update={"schema_registry": None})

    assert (await whole(alone, adobe))["schema registry"].status == "skipped"


async def test_targets_that_share_a_dataset_are_noticed(settings: Settings) -> None:
    platform_settings = settings.experience_platform
    targets = platform_settings.targets | {"profile": platform_settings.targets["event"]}
    shared = settings.model_copy(
        update={"experience_platform": platform_settings.model_copy(update={"targets": targets})}
    )

    found = await gathered(check(shared, offline=True))

    assert found["targets event, profile"].status == "warning"


async def test_a_target_that_is_not_configured_is_noticed(settings: Settings) -> None:
    found = await gathered(check(settings, offline=True))

    assert found["target profile"].status == "warning"
    assert "customerAdded" in found["target profile"].message
    assert "target event" not in found


async def test_a_tenants_own_schema_that_mapping_sets_do_not_fit_is_bad(
    settings: Settings, tmp_path: Path
) -> None:
    schema = json.loads((builtin_directory() / "xdm" / "event.json").read_text())
    schema["properties"]["_acme"] = schema["properties"].pop("_tenant")
    fits, lacks = tmp_path / "fits.json", tmp_path / "lacks.json"
    fits.write_text(json.dumps(schema))
    del schema["properties"]["commerce"]
    lacks.write_text(json.dumps(schema))

    async def bad_ones(file: Path) -> list[Finding]:
        platform = settings.experience_platform
        targets = {"event": platform.targets["event"].model_copy(update={"xdm_schema": str(file)})}
        changed = settings.model_copy(
            update={"experience_platform": platform.model_copy(update={"targets": targets})}
        )
        found = [finding async for finding in check(changed, offline=True)]
        return [f for f in found if f.status == "bad" and f.subject.startswith("mapping of")]

    assert await bad_ones(fits) == []
    found = await bad_ones(lacks)
    assert "mapping of transactionAdded to event" in {finding.subject for finding in found}
    assert all("has no field 'commerce'" in finding.message for finding in found)
    assert all("schemas check" in finding.mend for finding in found)


async def test_the_organisation_is_asked_with_a_message_that_no_schema_lets_pass(
    settings: Settings, adobe: ScriptedAdobe
) -> None:
    await platform(settings, adobe)

    (asked,) = [request for request in adobe.seen if request.url.path == VALIDATION]
    assert asked.url.query == b"syncValidation=true"
    message = json.loads(asked.content)
    assert message["header"]["imsOrgId"] == settings.experience_platform.org_id
    assert message["body"]["xdmEntity"]["processorCheck"] is True
    assert message["body"]["xdmEntity"]["_id"] == 0


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((400, {"report": {"message": "Message has an absent or wrong ims org in the header"}}),
         "bad", "another organisation"),
        ((400, {"report": {"message": "Message has unknown xdm format"}}), "bad", "schema_id"),
        ((200, {"xactionId": "1", "syncValidation": {"skipped": True}}), "warning", "not validate"),
        ((501, {}), "skipped", "(501), so its organisation shows with the first event"),
        ((429, {}), "skipped", "(429)"),
        ((503, {}), "skipped", "(503)"),
    ],
)  # fmt: skip
async def test_what_an_inlet_says_of_the_organisation(
    settings: Settings, adobe: ScriptedAdobe, answer: Answer, status: str, words: str
) -> None:
    adobe.validation = answer

    finding = (await platform(settings, adobe))["organisation at event"]

    assert finding.status == status
    assert words in f"{finding.message} {finding.mend}"


@pytest.mark.parametrize(("org_id", "status"), [("0" * 24 + "@AdobeOrg", "bad"), (None, "ok")])
async def test_an_inlet_of_another_organisation(
    settings: Settings, org_id: str | None, status: str
) -> None:
    transport = httpx.ASGITransport(simulator_app(SimulatorOptions(org_id=org_id)))

    found = await gathered(check_platform(settings, transport=transport))

    assert found["organisation at event"].status == status
    if status == "bad":
        assert "experience_platform.org_id" in found["organisation at event"].mend


async def test_an_upsert_is_not_sent_to_be_validated(
    settings: Settings, adobe: ScriptedAdobe
) -> None:
    target = settings.experience_platform.targets["event"].model_copy(
        update={"operation": "merge", "flow_id": "f"}
    )
    merging = settings.experience_platform.model_copy(update={"targets": {"event": target}})

    found = await platform(settings.model_copy(update={"experience_platform": merging}), adobe)

    assert found["organisation at event"].status == "skipped"
    assert VALIDATION not in {request.url.path for request in adobe.seen}


REFUSED: Answer = (400, {"error": "invalid_client", "error_description": "invalid client_secret"})


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ((), {"token": "ok", "next secret": "ok"}),
        (("the-next-canary",), {"token": "ok", "next secret": "warning"}),
        (("the-secret-canary",), {"token": "warning"}),
        (("the-secret-canary", "the-next-canary"), {"token": "bad"}),
    ],
)
async def test_both_secrets_are_tried(
    settings: Settings, adobe: ScriptedAdobe, refused: tuple[str, ...], expected: dict[str, str]
) -> None:
    adobe.secrets = dict.fromkeys(refused, REFUSED)
    ims = settings.ims.model_copy(update={"client_secret_next": SecretStr("the-next-canary")})

    found = await platform(settings.model_copy(update={"ims": ims}), adobe)

    of_secrets = {name: f.status for name, f in found.items() if name in {"token", "next secret"}}
    assert of_secrets == expected
    assert "canary" not in str(found)


async def test_subjects_whose_records_would_become_dead_letters_are_named(
    settings: Settings, adobe: ScriptedAdobe
) -> None:
    ours = SchemaFolder.load(settings.schemas).events["pointsIssued"]
    subject = f"capillary.events-{ours.parsed.name}"
    good = {subject: (200, {"schema": json.dumps(ours.avro), "id": 1, "version": 1})}
    wrong = {subject: (200, {"schema": json.dumps({**ours.avro, "fields": []}), "id": 2})}

    found = {}
    for name, subjects in (("none", {}), ("good", good), ("wrong", wrong)):
        adobe.subjects = subjects
        found[name] = await whole(settings, adobe)

    assert "0 of" in found["none"]["subjects"].message
    assert "1 of" in found["good"]["subjects"].message
    assert statuses(f for n, f in found["good"].items() if "subject" in n) == {"ok"}
    assert found["wrong"][f"subject {subject}"].status == "bad"
    assert "schemas diff" in found["wrong"][f"subject {subject}"].mend


async def test_a_target_that_nothing_feeds_is_noticed(settings: Settings) -> None:
    platform_settings = settings.experience_platform
    one = platform_settings.targets["event"].model_copy(update={"dataset_id": "another"})
    targets = {**platform_settings.targets, "wishes": one}
    more = settings.model_copy(
        update={"experience_platform": platform_settings.model_copy(update={"targets": targets})}
    )

    found = await gathered(check(more, offline=True))

    assert found["mapping"].status == "bad"
    assert "to-wishes.json" in found["mapping"].mend


@pytest.mark.parametrize(
    ("admin", "status"),
    [
        ({}, "ok"),
        ({"host": "10.0.0.1", "token_file": "t"}, "warning"),
        ({"host": "10.0.0.1", "token_file": "t", "view_token_file": "v"}, "ok"),
    ],
)
def test_who_reaches_the_admin_server(admin: dict[str, Any], status: str) -> None:
    assert check_admin(AdminSettings.model_validate(admin)).status == status


def test_a_secret_of_kafka_that_everybody_can_read_is_noticed(
    settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("kafka-canary")
    kafka = settings.kafka.model_copy(update={"properties": {"sasl.password_file": str(secret)}})
    changed = settings.model_copy(update={"kafka": kafka})
    found = {}
    for mode in (0o644, 0o600):
        secret.chmod(mode)
        found[mode] = {f.subject: f.status for f in check_secrets(changed)}

    assert found[0o644]["secret kafka.properties.sasl.password"] == "warning"
    assert found[0o600]["secret kafka.properties.sasl.password"] == "ok"


def test_a_check_that_breaks_hides_no_other() -> None:
    def breaks() -> Iterator[Finding]:
        yield ok("first", "is there")
        raise ValueError("a value that nobody may see")

    first, second = apart("the part", breaks)

    assert (first.subject, second.subject, second.status) == ("first", "the part", "bad")
    assert "ValueError" in second.message
    assert "nobody may see" not in str(second)
