"""What must hold between settings, or about one beyond its type; all of it, in one go.

These look at the tables as given and not at `Settings`, so that a misspelt key elsewhere does not
hide what they find.
"""

import ipaddress
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from processor.settings.complaints import field_at
from processor.settings.kafka_properties import OWNED, TALKATIVE
from processor.settings.masking import printable
from processor.settings.problem import Problem
from processor.settings.topics import fill, is_own, is_topic_name, template_fields

_SERVERS = re.compile(r"[^\s,/@]+(:\d{1,5})?(\s*,\s*[^\s,/@]+(:\d{1,5})?)*,?")
_METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata"})
_POLL_INTERVAL_DEFAULT_MS = 300_000  # librdkafka's max.poll.interval.ms


class Given:
    """The tables from file and environment, with the defaults behind them."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._tables = tables

    def value(self, key: str) -> Any:
        """What was given for a dotted key, else its default; `None` when it has neither."""
        path = key.split(".")
        found: Any = self._tables
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        if found is None and (field := field_at(path)) and not field.is_required():
            return field.default
        return found

    def text(self, key: str) -> str:
        """As `value`, ``""`` for what is no text."""
        value = self.value(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> list[str]:
        """As `value`, the texts of a list."""
        value = self.value(key)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def number(self, key: str) -> float | None:
        """As `value`, `None` for what is no number."""
        try:
            return float(self.value(key))
        except (TypeError, ValueError):
            return None

    def yes(self, key: str) -> bool:
        """As `value`, whether it is true."""
        return str(self.value(key)).lower() in {"true", "1", "yes", "on", "t", "y"}

    def table(self, key: str) -> Mapping[str, Any]:
        """The table under a key; an empty one when there is none."""
        value = self.value(key)
        return value if isinstance(value, Mapping) else {}


def check(tables: Mapping[str, Any], *, files: bool = True) -> Iterator[Problem]:
    """Every rule that spans settings, over the merged tables.

    Args:
        tables: as given.
        files: also look whether files are there.
    """
    given = Given(tables)
    yield from _kafka(given)
    yield from _templates(given)
    yield from _own_topics(given)
    yield from _secrets(given)
    yield from _addresses(given)
    yield from _targets(given)
    yield from _numbers(given)
    if files:
        yield from _files(given)
    yield from _others(given)


def _kafka(given: Given) -> Iterator[Problem]:
    kafka = given.table("kafka")
    if not kafka:
        return
    servers = given.text("kafka.bootstrap_servers")
    if servers and not _SERVERS.fullmatch(servers.strip()):
        yield Problem(
            "kafka.bootstrap_servers",
            "give host:port, several separated by commas, without a scheme such as http://.",
        )
    topics, pattern = given.texts("kafka.topics"), given.text("kafka.topics_regex")
    if not kafka.get("topics") and not pattern:
        yield Problem("kafka.topics", 'no source; give topics = ["…"] or topics_regex.')
    if topics and pattern:
        yield Problem("kafka.topics_regex", "is given beside kafka.topics; keep one of them.")
    for topic in topics:
        if not is_topic_name(topic):
            yield Problem(
                "kafka.topics",
                f"{printable(topic)!r} is no name of a topic (letters, digits, dots, _ and -); "
                "for a pattern use kafka.topics_regex.",
            )
    try:
        re.compile(pattern)
    except re.error as error:
        yield Problem("kafka.topics_regex", f"is no regular expression: {error}.")
    for name in ("properties", "consumer", "producer"):
        yield from _properties(name, given.table(f"kafka.{name}"))


def _properties(name: str, properties: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in properties.items():
        plain = str(key).removesuffix("_file")
        where = f"kafka.{name}.{printable(str(key))}"
        if plain in OWNED:
            yield Problem(where, f"belongs to the connector; {OWNED[plain]}.")
        if plain != key and plain in properties:
            yield Problem(where, f"is given beside {printable(plain)}; keep one of them.")
        if key == "debug" and TALKATIVE & {word.strip() for word in str(value).split(",")}:
            yield Problem(
                where,
                f"leave out {', '.join(sorted(TALKATIVE))}: they write passwords or records into "
                "the log; broker, cgrp, fetch and topic do not.",
            )


def _templates(given: Given) -> Iterator[Problem]:
    for key, allowed in (
        ("errors.deadletterqueue_topic_name", ("name", "topic")),
        ("state.topic", ("name",)),
    ):
        template = given.text(key)
        fields = template_fields(template)
        words = " and ".join(f"{{{word}}}" for word in allowed)
        if fields is None or not fields <= set(allowed):
            yield Problem(key, f"only {words} may stand in braces.")
        elif template == "{topic}":
            yield Problem(key, "is the source topic itself; add a suffix, such as {topic}.dlq.")
        elif template and not is_topic_name(fill(template, name="n", topic="t")):
            yield Problem(key, f"give letters, digits, dots, _ and -, with {words}.")


def _own_topics(given: Given) -> Iterator[Problem]:
    name, state = given.text("name"), given.text("state.topic")
    letters = given.text("errors.deadletterqueue_topic_name")
    if letters == "{topic}":
        return  # said already; every topic would be our own
    for topic in given.texts("kafka.topics"):
        if is_own(topic, name=name, letters=letters, state=state):
            yield Problem(
                "kafka.topics",
                f"{printable(topic)} is our own dead-letter or state topic; take it out "
                "(processor dlq replay sends dead letters again), or change "
                "errors.deadletterqueue_topic_name or state.topic.",
            )
    if is_own(fill(state, name=name), name=name, letters=letters, state=""):
        yield Problem("state.topic", "is also a dead-letter topic; give another name.")


def _secrets(given: Given) -> Iterator[Problem]:
    pairs = ["ims.client_secret", "ims.client_secret_next", "schema_registry.password"]
    for key in pairs:
        if given.value(key) and given.value(f"{key}_file"):
            yield Problem(f"{key}_file", f"is given beside {key}; keep one of them.")
    ims = given.table("ims")
    if ims and not (given.value("ims.client_secret") or given.value("ims.client_secret_file")):
        yield Problem(
            "ims.client_secret_file",
            "no secret; give the path of the file that holds it, or ims.client_secret.",
        )
    registry = given.table("schema_registry")
    password = registry.get("password") or registry.get("password_file")
    if registry and bool(password) != bool(given.text("schema_registry.username")):
        yield Problem("schema_registry.username", "username and password go together.")


def _addresses(given: Given) -> Iterator[Problem]:
    keys = (
        "ims.token_url",
        "experience_platform.endpoint",
        "experience_platform.platform_endpoint",
        "schema_registry.url",
    )
    for key in keys:
        table, _, _ = key.partition(".")
        if given.table(table) and (url := given.text(key)):
            yield from _url(key, url, http=_http_allowed(given, table))
    for key in ("ims.proxy", "experience_platform.proxy"):
        if url := given.text(key):
            yield from _proxy(key, url)


def _http_allowed(given: Given, table: str) -> bool:
    # A registry without a password gets nothing that is worth reading on the way.
    no_secret = table == "schema_registry" and not given.text("schema_registry.username")
    return no_secret or given.yes(f"{table}.allow_http")


def _url(key: str, url: str, *, http: bool) -> Iterator[Problem]:
    host = _host(url)
    parts = urlsplit(url) if host else None
    if parts is None or parts.scheme not in {"http", "https"}:
        yield Problem(key, "give an address such as https://host or https://host:port/path.")
        return
    if parts.username is not None:
        yield Problem(key, "holds a user or password; they have settings of their own.")
    if parts.query or parts.fragment:
        yield Problem(key, "holds a query (?) or a fragment (#); take it out.")
    if _is_metadata(host):
        yield Problem(key, "points to a link-local or metadata address; give the real host.")
    elif parts.scheme == "http" and not http and not is_loopback(host):
        table = key.partition(".")[0]
        yield Problem(
            key,
            "http:// would send secrets readable by others; use https://, or set "
            f"{table}.allow_http = true.",
        )


def _proxy(key: str, url: str) -> Iterator[Problem]:
    if not _host(url) or urlsplit(url).scheme not in {"http", "https"}:
        yield Problem(key, "give http://host:port, or http://user:password@host:port.")


def _host(url: str) -> str:
    """The host of a URL; ``""`` when it has none or is no URL."""
    try:
        parts = urlsplit(url.strip())
        return parts.hostname or "" if parts.port != 0 and url == url.strip() else ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_metadata(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_link_local
    except ValueError:
        return host.lower() in _METADATA_HOSTS


def _targets(given: Given) -> Iterator[Problem]:
    if not given.table("experience_platform"):
        return
    targets = given.table("experience_platform.targets")
    if not targets:
        yield Problem(
            "experience_platform.targets",
            "none is given; add a table such as [experience_platform.targets.event].",
        )
    for name, target in targets.items():
        if not isinstance(target, Mapping):
            continue
        where = f"experience_platform.targets.{printable(str(name))}"
        if target.get("operation") == "merge" and not target.get("identity_dataset_id"):
            yield Problem(
                f"{where}.identity_dataset_id",
                'operation = "merge" needs it: the dataset that holds the profile\'s identities.',
            )


def _numbers(given: Given) -> Iterator[Problem]:
    drain_s = given.number("delivery.drain_timeout_s")
    consumer = {**given.table("kafka.properties"), **given.table("kafka.consumer")}
    poll_ms = Given({"ms": consumer.get("max.poll.interval.ms")}).number("ms")
    poll_s = (poll_ms or _POLL_INTERVAL_DEFAULT_MS) / 1000
    if drain_s is not None and drain_s >= poll_s:
        yield Problem(
            "delivery.drain_timeout_s",
            f"must be below {poll_s:g}, Kafka's max.poll.interval.ms: a longer drain would lose "
            "the partitions that it drains.",
        )
    retry_s = given.number("errors.retry_timeout_s")
    if retry_s is not None and retry_s < 0 and retry_s != -1:
        yield Problem("errors.retry_timeout_s", "give seconds from 0, or -1 for ever.")
    least, window = given.number("errors.systemic_min"), given.number("errors.systemic_window")
    if least is not None and window is not None and least > window:
        yield Problem("errors.systemic_min", "must not be above errors.systemic_window.")


def _files(given: Given) -> Iterator[Problem]:
    for key in ("ims.ca_file", "experience_platform.ca_file", "schema_registry.ca_file"):
        path = given.value(key)
        if path and isinstance(path, str) and not Path(path).is_file():
            yield Problem(key, f"there is no file {printable(path)}; give the CA's PEM file.")


def _others(given: Given) -> Iterator[Problem]:
    if not _is_time_zone(given.text("mapping.time_zone")):
        yield Problem(
            "mapping.time_zone", "there is no such time zone; give a name such as Asia/Kolkata."
        )
    host = given.text("admin.host")
    if host and not is_loopback(host) and not given.value("admin.token_file"):
        yield Problem(
            "admin.token_file",
            "admin.host lets other machines in; give the file of an admin token, or listen on "
            "127.0.0.1.",
        )


def _is_time_zone(name: str) -> bool:
    if name == "UTC":  # known without the machine's time zone files
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)
