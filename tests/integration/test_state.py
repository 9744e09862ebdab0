"""The state topic on a real broker: created, written, read and followed."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from processor.errors import Misconfigured, TryAgain
from processor.kafka.state import TOPIC_CONFIG, StateTopic
from processor.kafka.state_entry import Entry
from processor.kafka.state_follower import Follower
from processor.local.broker import Broker
from processor.settings import Settings

WAIT_S = 60.0


@pytest.fixture
def settings(broker: Broker, fresh_name: Callable[[str], str]) -> Settings:
    return settings_for(broker.bootstrap_servers, fresh_name("connector"))


def settings_for(servers: str, name: str, **state: Any) -> Settings:
    return Settings.model_validate(
        {
            "name": name,
            "kafka": {"bootstrap_servers": servers, "topics": ["events"]},
            "ims": {"client_id": "id", "client_secret": "unused"},
            "experience_platform": {"org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg", "tenant": "a"},
            "state": {"replication_factor": 1, **state},
        }
    )


class Heard:
    """Follows, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()

    def history(self, entries: Mapping[str, Entry]) -> None:
        self.told.put(("history", {key: entry.document for key, entry in entries.items()}))

    def news(self, entry: Entry) -> None:
        self.told.put((entry.key, entry.document))

    def trouble(self, message: str) -> None:
        self.told.put(("trouble", message))

    def trouble_over(self) -> None:
        self.told.put(("over", None))

    def next(self) -> tuple[str, Any]:
        return self.told.get(timeout=WAIT_S)


@pytest.fixture
def follow() -> Iterator[Callable[[Settings], Heard]]:
    followers: list[Follower] = []

    def begin(settings: Settings) -> Heard:
        heard = Heard()
        lock = threading.Lock()

        def post(call: Callable[..., None], *args: object) -> None:
            with lock:
                call(*args)

        follower = Follower(settings, "test", "release/", heard, post=post)
        followers.append(follower)
        follower.start()
        return heard

    yield begin

    for follower in followers:
        follower.close(WAIT_S)


def test_a_missing_topic_is_empty_and_reading_does_not_create_it(
    broker: Broker, settings: Settings
) -> None:
    assert StateTopic(settings, "test").read() == {}
    assert settings.state_topic not in broker.admin().list_topics(timeout=10).topics


def test_the_first_write_creates_a_compacted_topic_of_one_partition(
    broker: Broker, settings: Settings
) -> None:
    StateTopic(settings, "test").write("hold/a", {"x": 1})

    admin = broker.admin()
    topic = admin.list_topics(settings.state_topic, timeout=10).topics[settings.state_topic]
    resource = ConfigResource(ResourceType.TOPIC, settings.state_topic)
    config = admin.describe_configs([resource])[resource].result(timeout=30)

    assert len(topic.partitions) == 1
    assert {key: config[key].value for key in TOPIC_CONFIG} == TOPIC_CONFIG


def test_reading_gives_the_latest_of_each_key_and_not_what_was_deleted(settings: Settings) -> None:
    state = StateTopic(settings, "test")
    first = state.write("hold/a", {"x": 1})
    second = state.write("hold/a", {"x": 2})
    state.write_many({"hold/b": {"x": 3}, "claim/c": {"x": 4}})
    state.write("hold/b", None)

    found = state.read("hold/")

    assert second > first
    assert {key: entry.document for key, entry in found.items()} == {"hold/a": {"x": 2}}
    assert found["hold/a"].offset == second
    assert found["hold/a"].timestamp_ms > 0
    assert set(state.read()) == {"hold/a", "claim/c"}


def test_foreign_entries_are_left_alone(settings: Settings, produce: Callable[..., None]) -> None:
    state = StateTopic(settings, "test")
    state.write_many({"hold/a": {"x": 1}, "hold/b": {"x": 2}})
    produce(
        settings.state_topic,
        [
            {"value": b"\x00\x00", "key": b"hold"},
            {"value": b"no json", "key": b"hold/c"},
            {"value": b'{"format": 99}', "key": b"hold/b"},
            {"value": b"\xff", "key": b"\xff/\xfe"},
        ],
    )

    assert set(state.read()) == {"hold/a"}


def test_a_broker_that_is_away_is_the_moments_fault() -> None:
    state = StateTopic(settings_for("localhost:1", "nowhere"), "test")

    with pytest.raises(TryAgain, match=r"Could not read nowhere\.state"):
        state.read()
    with pytest.raises(TryAgain, match=r"Could not write to nowhere\.state"):
        state.write("a/b", {})


def test_a_topic_that_cannot_be_created_says_what_to_mend(
    broker: Broker, fresh_name: Callable[[str], str]
) -> None:
    settings = settings_for(broker.bootstrap_servers, fresh_name("connector"), replication_factor=3)

    with pytest.raises(Misconfigured, match=r"state\.replication_factor"):
        StateTopic(settings, "test").write("a/b", {})


def test_a_follower_hears_history_first_and_then_the_news(
    settings: Settings, follow: Callable[[Settings], Heard]
) -> None:
    state = StateTopic(settings, "test")
    state.write_many({"release/a": {"x": 1}, "release/b": {"x": 2}, "hold/c": {"x": 3}})
    state.write("release/b", None)
    heard = follow(settings)

    history = heard.next()
    state.write_many({"hold/c": {"x": 4}, "release/a": {"x": 5}})
    state.write("release/a", None)

    assert history == ("history", {"release/a": {"x": 1}})
    assert [heard.next(), heard.next()] == [("release/a", {"x": 5}), ("release/a", None)]


def test_all_is_news_in_a_topic_that_came_after_the_follower(
    settings: Settings, follow: Callable[[Settings], Heard]
) -> None:
    heard = follow(settings)
    history = heard.next()

    StateTopic(settings, "test").write("release/a", {"x": 1})

    assert history == ("history", {})
    assert heard.next() == ("release/a", {"x": 1})


def test_a_topic_made_anew_is_history_again(
    broker: Broker, settings: Settings, follow: Callable[[Settings], Heard]
) -> None:
    state = StateTopic(settings, "test")
    for number in range(5):
        state.write("release/a", {"x": number})
    heard = follow(settings)
    assert heard.next() == ("history", {"release/a": {"x": 4}})

    admin = broker.admin()
    admin.delete_topics([settings.state_topic])[settings.state_topic].result(timeout=30)
    state.write("release/b", {"x": 1})

    told = heard.next()
    if told == ("history", {}):  # it looked between the topic's creation and the write
        told = ("history", dict([heard.next()]))
    assert told == ("history", {"release/b": {"x": 1}})
    state.write("release/b", {"x": 2})
    assert heard.next() == ("release/b", {"x": 2})


def test_a_follower_waits_for_a_broker_and_misses_nothing(
    make_broker: Callable[..., Broker],
    fresh_name: Callable[[str], str],
    follow: Callable[[Settings], Heard],
) -> None:
    own = make_broker()
    settings = settings_for(own.bootstrap_servers, fresh_name("connector"))
    state = StateTopic(settings, "test")
    state.write("release/a", {"x": 1})
    heard = follow(settings)
    assert heard.next() == ("history", {"release/a": {"x": 1}})

    own.stop()
    kind, message = heard.next()
    own.start()
    state.write("release/a", {"x": 2})
    after = [heard.next(), heard.next()]

    assert kind == "trouble"
    assert message
    assert after == [("over", None), ("release/a", {"x": 2})]
