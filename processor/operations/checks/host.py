"""Preflight of this host: secrets, what may read them, and where the admin server listens."""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from processor.errors import Misconfigured
from processor.kafka.property_check import check_properties
from processor.operations.checks.finding import Finding, bad_by, ok, warning
from processor.settings import (
    AdminSettings,
    SecretValue,
    Settings,
    client_secrets,
    inline_secrets,
    is_loopback,
)

_FILE = "_file"


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Whether each secret can be read, and by whom."""
    ims, registry, admin = settings.ims, settings.schema_registry, settings.admin
    for name, secret in client_secrets(ims).items():
        yield _secret(f"secret ims.{name}", secret)
    given = {
        "schema_registry.password": (
            (registry.password, registry.password_file) if registry else (None, None)
        ),
        "admin.token": (None, admin.token_file),
        "admin.view_token": (None, admin.view_token_file),
        "admin.replay_token": (None, admin.replay_token_file),
    }
    for key, (value, file) in given.items():
        if secret := SecretValue(value, file, key=key):
            yield _secret(f"secret {key}", secret)
    for table in ("properties", "consumer", "producer"):
        for key, file in _files(getattr(settings.kafka, table)).items():
            name = f"kafka.{table}.{key}"
            yield _secret(f"secret {name}", SecretValue(None, file, key=name))


def _files(properties: Mapping[str, object]) -> dict[str, Path]:
    return {
        name.removesuffix(_FILE): Path(str(value))
        for name, value in properties.items()
        if name.endswith(_FILE)
    }


def _secret(subject: str, secret: SecretValue) -> Finding:
    try:
        secret.read()
    except Misconfigured as error:
        return bad_by(subject, error)
    if secret.is_exposed():
        message = "Everybody on this host can read its file."
        return warning(subject, message, "Give the file mode 600 or 440.")
    return ok(subject, "can be read")


def check_settings_file(settings: Settings, file: Path) -> Iterator[Finding]:
    """A settings file that everybody on this host can read, with a secret in it."""
    try:
        readable_by_all = bool(file.stat().st_mode & stat.S_IROTH)
        text = file.read_text()
    except (OSError, ValueError):
        return  # it was read a moment ago; whatever it is now is no finding of ours
    if readable_by_all and any(secret in text for secret in inline_secrets(settings) if secret):
        yield warning(
            "settings file",
            f"Everybody on this host can read {file.name}, and a secret stands in it.",
            "Put the secret into a file of its own (<key>_file), or give the settings mode 600.",
        )


def check_admin(admin: AdminSettings) -> Finding:
    """Who may reach the admin server. Settings without a token let nobody else in."""
    subject = f"admin {admin.host}:{admin.port}"
    if is_loopback(admin.host):
        return ok(subject, "only this host reaches it")
    if admin.view_token_file is None:
        return warning(
            subject,
            "Other hosts reach it, and whoever may look has the token that may also change.",
            "Set admin.view_token_file, and give that token to those who only look.",
        )
    return ok(subject, "other hosts reach it, with a token")


def check_kafka_properties(settings: Settings) -> Finding:
    """Whether librdkafka takes the properties, asked without the network."""
    subject = "Kafka properties"
    try:
        check_properties(settings.kafka)
    except Misconfigured as error:
        return bad_by(subject, error)
    return ok(subject, "librdkafka takes them")
