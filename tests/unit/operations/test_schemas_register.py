"""Which subjects schemas are registered under, and what a registry's answers mean for them."""

from typing import Any

import httpx
import pytest

from processor.errors import Misconfigured
from processor.operations.schemas.context import Context
from processor.operations.schemas.register import register_schemas
from processor.schemas import registry as registries
from processor.settings import SchemaRegistrySettings

RECORD = "com.capillarytech.events.PointsIssued"
UNKNOWN = httpx.Response(404, json={"error_code": 40401, "message": "no"})


class Registry(httpx.AsyncBaseTransport):
    """Knows some schemas by subject, and what it would take."""

    def __init__(self, there: dict[str, int], compatible: dict[str, bool]) -> None:
        self.there, self.compatible = there, compatible
        self.registered: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        path = request.url.path.removeprefix("/")
        if path.startswith("compatibility/"):
            verdict = self.compatible.get(path.split("/")[2])
            return (
                UNKNOWN if verdict is None else httpx.Response(200, json={"is_compatible": verdict})
            )
        subject = path.split("/")[1]
        if path.endswith("/versions"):
            self.registered.append(subject)
            return httpx.Response(200, json={"id": 100 + len(self.registered)})
        known = self.there.get(subject)
        return UNKNOWN if known is None else httpx.Response(200, json={"id": known})


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for the registry behind every client."""

    def make(there: dict[str, int] | None = None, **compatible: bool) -> Registry:
        own = Registry(there or {}, {name.replace("_", "-"): v for name, v in compatible.items()})
        real = registries.SchemaRegistry.__init__

        def opened(self: Any, settings: SchemaRegistrySettings) -> None:
            real(self, settings, own)

        monkeypatch.setattr(registries.SchemaRegistry, "__init__", opened)
        return own

    return make


def settings(strategy: Any = "topic_record") -> SchemaRegistrySettings:
    return SchemaRegistrySettings(url="http://registry", subject_name_strategy=strategy)


@pytest.mark.parametrize(
    ("strategy", "topics", "subjects"),
    [
        ("topic_record", ["a", "b"], [f"a-{RECORD}", f"b-{RECORD}"]),
        ("record", [], [RECORD]),
        ("topic", ["a", "a"], ["a-value"]),
    ],
)
async def test_subjects_are_named_as_the_strategy_says(
    registry: Any, strategy: str, topics: list[str], subjects: list[str]
) -> None:
    own = registry()

    found = await register_schemas(
        Context.of(None), settings(strategy), events=["pointsIssued"], topics=topics, execute=True
    )

    assert [one.subject for one in found] == own.registered == subjects
    assert all(one.registered and one.state == "new" for one in found)


async def test_without_execute_nothing_is_registered(registry: Any) -> None:
    own = registry(a_value=True)

    found = await register_schemas(
        Context.of(None), settings("topic"), events=["pointsIssued"], topics=["a", "b"]
    )

    assert [(one.state, one.schema_id) for one in found] == [("new version", None), ("new", None)]
    assert own.registered == []


async def test_what_is_there_stays_and_what_is_incompatible_is_left_alone(registry: Any) -> None:
    own = registry({"a-value": 7}, b_value=False, c_value=True)

    found = await register_schemas(
        Context.of(None),
        settings("topic"),
        events=["pointsIssued"],
        topics=["a", "b", "c"],
        execute=True,
    )

    assert [(one.state, one.schema_id, one.registered) for one in found] == [
        ("there", 7, False),
        ("incompatible", None, False),
        ("new version", 101, True),
    ]
    assert own.registered == ["c-value"]


@pytest.mark.parametrize(
    ("strategy", "events", "topics", "said"),
    [
        ("topic_record", [], [], "need a topic, and none is given. Give --topic"),
        ("topic", [], ["a"], "events the one subject a-value. Name one event"),
        ("record", ["pointIssued"], [], "no event pointIssued"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    registry: Any, strategy: str, events: list[str], topics: list[str], said: str
) -> None:
    own = registry()

    with pytest.raises(Misconfigured) as caught:
        await register_schemas(
            Context.of(None), settings(strategy), events=events, topics=topics, execute=True
        )

    assert said in str(caught.value)
    assert own.registered == []
