import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from processor.errors import Misconfigured
from processor.settings import Settings, load

Load = Callable[..., Settings]
Complaint = Callable[..., str]


def test_a_small_file_is_enough(load_text: Load) -> None:
    settings = load_text()

    assert settings.name == "capillary-aep"
    assert settings.group_id == "connect-capillary-aep"
    assert settings.state_topic == "capillary-aep.state"
    assert settings.dead_letter_topic("capillary.events") == "capillary.events.dlq"
    assert settings.schema_registry is None
    assert settings.delivery.batch_max_records == 500


def test_a_group_of_ones_own_is_kept(load_text: Load) -> None:
    settings = load_text(environ={"PROCESSOR_KAFKA__GROUP_ID": "mine"})

    assert settings.group_id == "mine"


def test_names_of_own_topics_follow_their_templates(load_text: Load) -> None:
    settings = load_text(
        environ={
            "PROCESSOR_NAME": "loyal",
            "PROCESSOR_STATE__TOPIC": "state-of-{name}",
            "PROCESSOR_ERRORS__DEADLETTERQUEUE_TOPIC_NAME": "dead.{name}.{topic}",
        }
    )

    assert settings.state_topic == "state-of-loyal"
    assert settings.dead_letter_topic("a") == "dead.loyal.a"
    assert settings.is_own_topic("dead.loyal.any.other")
    assert settings.is_own_topic("state-of-loyal")
    assert not settings.is_own_topic("dead.loyal.")
    assert not settings.is_own_topic("deadXloyalXa")


def test_the_environment_comes_over_the_file(load_text: Load, good: str) -> None:
    settings = load_text(
        good + "[delivery]\nmax_in_flight = 3\nlinger_ms = 7\n",
        {"PROCESSOR_DELIVERY__MAX_IN_FLIGHT": "5"},
    )

    assert settings.delivery.max_in_flight == 5
    assert settings.delivery.linger_ms == 7


def test_lists_in_the_environment_are_separated_by_commas(load_text: Load) -> None:
    settings = load_text(
        environ={
            "PROCESSOR_KAFKA__TOPICS": "a, b,",
            "PROCESSOR_CAPILLARY__ORG_IDS": "1,2",
            "PROCESSOR_IMS__SCOPES": "openid,AdobeID",
        }
    )

    assert settings.kafka.topics == ["a", "b"]
    assert settings.capillary.org_ids == [1, 2]
    assert settings.ims.scopes == ["openid", "AdobeID"]


def test_several_servers_in_the_environment_stay_one_text(load_text: Load) -> None:
    settings = load_text(environ={"PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": "a:9092,b:9092"})

    assert settings.kafka.bootstrap_servers == "a:9092,b:9092"


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("SASL_USERNAME", "sasl.username"),
        ("MAX_POLL_INTERVAL_MS", "max.poll.interval.ms"),
        ("LOG_LEVEL", "log_level"),
        ("SSL_CA_LOCATION", "ssl.ca.location"),
    ],
)
def test_variables_name_librdkafka_properties(load_text: Load, variable: str, name: str) -> None:
    settings = load_text(environ={f"PROCESSOR_KAFKA__PROPERTIES__{variable}": "400000"})

    assert settings.kafka.properties == {name: "400000"}


def test_a_target_can_come_from_the_environment_alone(load_text: Load) -> None:
    prefix = "PROCESSOR_EXPERIENCE_PLATFORM__TARGETS__TIER__"

    settings = load_text(
        environ={
            f"{prefix}INLET_ID": "i",
            f"{prefix}DATASET_ID": "d",
            f"{prefix}SCHEMA_ID": "s",
        }
    )

    assert list(settings.experience_platform.targets) == ["event", "tier"]
    assert settings.experience_platform.targets["tier"].dataset_id == "d"


def test_everything_can_come_from_the_environment(good: str) -> None:
    prefix = "PROCESSOR_EXPERIENCE_PLATFORM__"
    environ = {
        "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": "localhost:9092",
        "PROCESSOR_KAFKA__TOPICS": "a",
        "PROCESSOR_IMS__CLIENT_ID": "c",
        "PROCESSOR_IMS__CLIENT_SECRET": "s",
        "PROCESSOR_SCHEMA_REGISTRY__URL": "http://localhost:8081",
        f"{prefix}ORG_ID": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
        f"{prefix}TENANT": "acme",
        f"{prefix}TARGETS__EVENT__INLET_ID": "i",
        f"{prefix}TARGETS__EVENT__DATASET_ID": "d",
        f"{prefix}TARGETS__EVENT__SCHEMA_ID": "s",
    }

    settings = load(None, environ)

    assert settings.schema_registry is not None
    assert settings.kafka.topics == ["a"]


def test_the_file_may_be_named_by_a_variable(tmp_path: Path, good: str) -> None:
    (tmp_path / "named.toml").write_text(good)

    settings = load(None, {"PROCESSOR_CONFIG": str(tmp_path / "named.toml")})

    assert settings.kafka.topics == ["capillary.events"]


def test_the_named_file_comes_before_the_variable(tmp_path: Path, good: str) -> None:
    (tmp_path / "named.toml").write_text(good)

    settings = load(tmp_path / "named.toml", {"PROCESSOR_CONFIG": "/no/such/file"})

    assert settings.kafka.topics == ["capillary.events"]


def test_a_file_that_is_no_regular_file_is_read_too(tmp_path: Path, good: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, good.encode())
    os.close(writing)

    settings = load(Path(f"/dev/fd/{reading}"), {})

    os.close(reading)
    assert settings.kafka.topics == ["capillary.events"]


def test_settings_built_by_hand_read_no_environment(
    load_text: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = load_text()
    monkeypatch.setenv("NAME", "from-outside")

    built = Settings(
        kafka=given.kafka, ims=given.ims, experience_platform=given.experience_platform
    )

    assert built.name == "capillary-aep"


def test_settings_travel_to_another_process(load_text: Load) -> None:
    settings = load_text()

    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes


def test_settings_cannot_be_changed(load_text: Load) -> None:
    settings = load_text()

    with pytest.raises(ValueError, match="frozen"):
        settings.tasks_max = 2


def test_blank_paths_and_secrets_are_left_out(load_text: Load, good: str) -> None:
    settings = load_text(
        good
        + '[schema_registry]\nurl = "http://localhost:8081"\npassword = ""\npassword_file = ""\n'
        + '[schemas]\ndirectory = ""\n[admin]\ntoken_file = ""\n'
    )

    assert settings.schema_registry is not None
    assert settings.schema_registry.password is None
    assert settings.schema_registry.password_file is None
    assert settings.schemas.directory is None
    assert settings.admin.token_file is None


def test_kubernetes_service_links_are_no_settings(load_text: Load) -> None:
    settings = load_text(
        environ={
            "PROCESSOR_PORT": "tcp://10.0.0.1:8083",
            "PROCESSOR_PORT_8083_TCP": "tcp://10.0.0.1:8083",
            "PROCESSOR_PORT_8083_TCP_ADDR": "10.0.0.1",
            "PROCESSOR_SERVICE_HOST": "10.0.0.1",
            "PROCESSOR_SERVICE_PORT_HTTP": "8083",
            "PROCESSOR_ADMIN_SERVICE_HOST": "10.0.0.1",
            "PROCESSOR_ADMIN_SERVICE_PORT": "8083",
            "PROCESSOR_ADMIN_PORT": "tcp://10.0.0.1:8083",
            "PROCESSOR_ADMIN_PORT_8083_TCP_PROTO": "tcp",
        }
    )

    assert settings.admin.port == 8083


def test_a_variable_that_only_looks_like_a_service_link_is_refused(complaint: Complaint) -> None:
    text = complaint(environ={"PROCESSOR_ADMIN_PORT": "8084"})

    assert "PROCESSOR_ADMIN_PORT: no setting has this variable" in text
    assert "did you mean PROCESSOR_ADMIN__PORT?" in text


def test_our_other_variables_are_no_settings(load_text: Load) -> None:
    load_text(environ={"PROCESSOR_DEBUG": "1", "PROCESSOR_CACHE": "/tmp/x"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"There is no settings file .*nothing\.toml") as caught:
        load(tmp_path / "nothing.toml", {})

    assert "PROCESSOR_CONFIG" in str(caught.value)


def test_a_directory_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        load(tmp_path, {})


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b'name = "caf\xe9"')

    with pytest.raises(Misconfigured, match="not UTF-8"):
        load(tmp_path / "x.toml", {})


def test_broken_toml_names_the_line(complaint: Complaint) -> None:
    assert "is not TOML: " in (text := complaint("[kafka]\ntopics = [\n'a'"))
    assert "line 3" in text or "end of document" in text


def test_broken_toml_does_not_quote_its_line(complaint: Complaint) -> None:
    text = complaint('[ims]\nclient_secret = "canary-4711\n')

    assert "canary-4711" not in text


def test_without_anything_it_says_how_settings_are_given() -> None:
    with pytest.raises(Misconfigured) as caught:
        load(None, {})

    text = str(caught.value)
    assert "--config FILE or PROCESSOR_CONFIG" in text
    assert "kafka: this table is missing; give [kafka] with bootstrap_servers" in text
    assert "ims: this table is missing; give [ims] with client_id and client_secret_file" in text
    assert "experience_platform: this table is missing" in text


def test_all_mistakes_are_told_at_once(complaint: Complaint, good: str) -> None:
    text = complaint(
        'tasks_max = 0\nnam = "x"\n'
        + good.replace('tenant = "acme"', "tenent = 1")
        + '[gate]\non_profile_limit = "maybe"\n[mapping]\ntime_zone = "Mars/Base"\n',
        {"PROCESSOR_DELIVRY__LINGER_MS": "1", "PROCESSOR_DELIVERY__LINGER_MS": "soon"},
    )

    assert [line.split(":")[0].strip() for line in text.splitlines()[1:]] == [
        "PROCESSOR_DELIVRY__LINGER_MS",
        "delivery.linger_ms (from PROCESSOR_DELIVERY__LINGER_MS)",
        "experience_platform.tenant",
        "experience_platform.tenent",
        "gate.on_profile_limit",
        "mapping.time_zone",
        "nam",
        "tasks_max",
    ]
