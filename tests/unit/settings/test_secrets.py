import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from processor.errors import Misconfigured
from processor.settings import (
    KafkaSettings,
    SecretValue,
    Settings,
    client_properties,
    inline_secrets,
    masked,
    tell_when_read,
)

Load = Callable[..., Settings]


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What is told about secrets that were read."""
    told: list[str] = []
    stop = tell_when_read(told.append)
    yield told
    stop()


def test_a_secret_stands_in_the_settings(heard: list[str]) -> None:
    secret = SecretValue(SecretStr("canary"), None, key="ims.client_secret")

    assert secret.read() == "canary"
    assert heard == ["canary"]


def test_a_secret_stands_in_a_file(tmp_path: Path, heard: list[str]) -> None:
    (tmp_path / "secret").write_text("canary\n")
    secret = SecretValue(None, tmp_path / "secret", key="ims.client_secret")

    assert secret.read() == "canary"
    assert heard == ["canary"]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"canary\n", "canary"),
        (b"canary\r\n", "canary"),
        (b"canary\n\n", "canary\n"),
        (b" padded-4713 ", " padded-4713 "),
        ("gehe\u00efm&+%=#".encode(), "gehe\u00efm&+%=#"),
    ],
)
def test_only_one_trailing_newline_is_taken_off(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "secret").write_bytes(content)

    assert SecretValue(None, tmp_path / "secret").read() == value


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("value-one")
    secret = SecretValue(None, file)
    first = secret.read()

    file.write_text("value-two")

    assert (first, secret.read()) == ("value-one", "value-two")


def test_a_file_of_the_same_size_and_time_behind_a_swapped_link_is_read_again(
    tmp_path: Path,
) -> None:
    for name, content in (("..old", "secret-1"), ("..new", "secret-2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(content)
        os.utime(tmp_path / name / "secret", ns=(1, 1))
    (tmp_path / "..data").symlink_to("..old")
    secret = SecretValue(None, tmp_path / "..data" / "secret")
    first = secret.read()

    (tmp_path / "..swap").symlink_to("..new")
    (tmp_path / "..swap").rename(tmp_path / "..data")

    assert (first, secret.read()) == ("secret-1", "secret-2")


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("canary")
    secret = SecretValue(None, file)
    secret.read()
    before = file.stat().st_atime_ns
    os.utime(file, ns=(1, file.stat().st_mtime_ns))

    secret.read()

    assert file.stat().st_atime_ns == 1 != before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory). Mount the secret there"),
        (b"", "is empty. Write the secret into it."),
        (b"\n", "is empty. Write the secret into it."),
        (b"\xff\xfe", "is not UTF-8 text."),
        (b"x" * 65_537, "holds more than 65536 bytes."),
    ],
)
def test_a_file_that_holds_no_secret_names_its_key(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Misconfigured) as caught:
        SecretValue(None, file, key="ims.client_secret").read()

    assert str(caught.value).startswith("ims.client_secret_file: ")
    assert sentence in str(caught.value)


def test_a_directory_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        SecretValue(None, tmp_path).read()


def test_a_secret_that_is_not_set_names_its_key() -> None:
    with pytest.raises(Misconfigured, match=r"ims\.client_secret is not set"):
        SecretValue(None, None, key="ims.client_secret").read()


def test_whether_a_secret_is_set_is_known_without_reading(tmp_path: Path) -> None:
    assert SecretValue(None, tmp_path / "missing")
    assert SecretValue(SecretStr("x"), None)
    assert not SecretValue(SecretStr(""), None)
    assert not SecretValue(None, None)


def test_a_file_that_everybody_can_read_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("canary")
    secret = SecretValue(None, file)

    file.chmod(0o600)
    tight = secret.is_exposed()
    file.chmod(0o644)

    assert (tight, secret.is_exposed()) == (False, True)
    assert not SecretValue(SecretStr("x"), None).is_exposed()


def test_no_repr_shows_a_secret(tmp_path: Path, load_text: Load) -> None:
    (tmp_path / "secret").write_text("canary-in-file")
    in_file = SecretValue(None, tmp_path / "secret")
    in_file.read()
    settings = load_text(
        environ={
            "PROCESSOR_KAFKA__PROPERTIES__SASL_PASSWORD": "canary-kafka",
            "PROCESSOR_KAFKA__CONSUMER__SSL_KEY_PEM": "canary-pem",
            "PROCESSOR_IMS__PROXY": "http://user:canary-proxy@proxy:3128",
        }
    )

    shown = f"{in_file!r} {SecretValue(SecretStr('canary'), None)!r} {settings!r} {settings}"

    assert "canary" not in shown


def test_secrets_in_settings_are_known_for_redaction(load_text: Load) -> None:
    settings = load_text(
        environ={
            "PROCESSOR_KAFKA__PROPERTIES__SASL_PASSWORD": "canary-kafka",
            "PROCESSOR_IMS__CLIENT_SECRET_NEXT": "canary-next",
            "PROCESSOR_IMS__PROXY": "http://user:canary%2Fproxy@proxy:3128",
            "PROCESSOR_SCHEMA_REGISTRY__URL": "https://registry",
            "PROCESSOR_SCHEMA_REGISTRY__USERNAME": "u",
            "PROCESSOR_SCHEMA_REGISTRY__PASSWORD": "canary-registry",
        }
    )

    assert set(inline_secrets(settings)) == {
        "the-secret-canary",
        "canary-kafka",
        "canary-next",
        "canary%2Fproxy",
        "canary/proxy",
        "canary-registry",
    }


def test_masked_settings_keep_everything_but_secrets(load_text: Load) -> None:
    settings = load_text(
        environ={
            "PROCESSOR_KAFKA__PROPERTIES__SASL_PASSWORD": "canary-kafka",
            "PROCESSOR_KAFKA__PROPERTIES__SASL_USERNAME": "user",
            "PROCESSOR_IMS__PROXY": "http://user:canary-proxy@proxy:3128",
        }
    )

    document = masked(settings)

    assert "canary" not in str({**document, "ims": {**document["ims"], "client_id": ""}})
    assert document["kafka"]["properties"] == {
        "sasl.password": "********",
        "sasl.username": "user",
    }
    assert document["ims"]["client_secret"] == "********"
    assert document["ims"]["client_secret_next"] is None
    assert document["ims"]["proxy"] == "http://user:********@proxy:3128"


def test_properties_of_a_kind_come_over_those_of_all() -> None:
    settings = KafkaSettings(
        bootstrap_servers="a:9092",
        properties={"client.rack": "r1", "fetch.min.bytes": 1, "security": {"protocol": "SSL"}},
        consumer={"fetch.min.bytes": 2},
        producer={"linger.ms": 3},
    )

    assert client_properties(settings, "consumer") == {
        "bootstrap.servers": "a:9092",
        "client.rack": "r1",
        "security.protocol": "SSL",
        "fetch.min.bytes": 2,
    }
    assert client_properties(settings, "producer")["linger.ms"] == 3
    assert "linger.ms" not in client_properties(settings, "admin")


def test_secret_properties_are_read_from_files_and_told(tmp_path: Path, heard: list[str]) -> None:
    (tmp_path / "password").write_text("canary\n")
    settings = KafkaSettings(
        bootstrap_servers="a",
        properties={
            "sasl.password_file": str(tmp_path / "password"),
            "ssl.key.password": "canary-2",
        },
    )

    assert client_properties(settings, "admin") == {
        "bootstrap.servers": "a",
        "sasl.password": "canary",
        "ssl.key.password": "canary-2",
    }
    assert heard == ["canary", "canary-2"]


def test_a_missing_file_of_a_property_names_the_property() -> None:
    settings = KafkaSettings(bootstrap_servers="a", producer={"sasl.password_file": "/no/such"})

    with pytest.raises(Misconfigured, match=r"^kafka\.producer\.sasl\.password_file: /no/such"):
        client_properties(settings, "producer")


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({"group.id": "g"}, "kafka.consumer.group.id belongs to the connector. Set kafka.group_id"),
        ({"enable.auto.commit": True}, "kafka.consumer.enable.auto.commit belongs"),
        ({"ssl.key_file": "/x", "ssl.key": "y"}, "kafka.consumer.ssl.key is given twice."),
    ],
)
def test_properties_that_are_refused_at_the_load_are_refused_here_too(
    properties: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("x")
    files = {k: str(tmp_path / "x") if v == "/x" else v for k, v in properties.items()}
    settings = KafkaSettings(bootstrap_servers="a", consumer=files)

    with pytest.raises(Misconfigured) as caught:
        client_properties(settings, "consumer")

    assert str(caught.value).startswith(sentence)
