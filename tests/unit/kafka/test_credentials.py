from pathlib import Path
from typing import Any

import pytest

from processor.kafka.credentials import Credentials
from processor.settings.models import KafkaSettings


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 2.0
        return self.now_s


class Client:
    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []

    def set_sasl_credentials(self, username: str, password: str) -> None:
        self.given.append((username, password))


def settings(file: Path, **more: Any) -> KafkaSettings:
    properties = {
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "us",
        "sasl.password_file": str(file),
        **more,
    }
    return KafkaSettings(bootstrap_servers="broker:9093", topics=["events"], properties=properties)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("first\n")
    return path


def test_a_client_is_given_a_password_once_when_it_has_changed(file: Path) -> None:
    credentials, client = Credentials(settings(file), "consumer", clock=Clock()), Client()

    credentials.renew(client)
    file.write_text("second\n")
    credentials.renew(client)
    credentials.renew(client)

    assert client.given == [("us", "second")]


def test_a_file_that_is_gone_for_a_moment_changes_nothing(file: Path) -> None:
    credentials, client = Credentials(settings(file), "producer", clock=Clock()), Client()

    file.unlink()
    credentials.renew(client)
    file.write_text("first")
    credentials.renew(client)

    assert client.given == []


def test_the_file_is_looked_at_once_a_second(file: Path) -> None:
    credentials, client = Credentials(settings(file), "admin", clock=lambda: 7.0), Client()

    credentials.renew(client)
    file.write_text("second")
    credentials.renew(client)

    assert client.given == []


def test_a_token_has_no_password_that_could_be_changed(file: Path) -> None:
    chosen = settings(file, **{"sasl.mechanism": "OAUTHBEARER"})
    credentials, client = Credentials(chosen, "consumer", clock=Clock()), Client()

    file.write_text("second")
    credentials.renew(client)

    assert client.given == []
