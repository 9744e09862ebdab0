"""What is shown instead of a secret or of a control character."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

MASK = "********"

_SECRET_KEY = re.compile(r"(password|secret|token|key|authorization|credentials?)$", re.IGNORECASE)
_SECRET_PROPERTIES = frozenset(
    {
        "ssl.key.pem",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.config",
        "sasl.jaas.config",
        "ssl_key",
    }
)
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: terminal commands, line breaks
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"  # direction, invisible
    "\ud800-\udfff]"  # lone surrogates cannot be encoded
)


def is_secret_key(key: str) -> bool:
    """Whether a value under this key must not be seen (``sasl.password``, ``client_secret``).

    Source: interface.md, "Values of keys that end in password, secret, token or key are masked".
    """
    return _SECRET_KEY.search(key.strip()) is not None or key in _SECRET_PROPERTIES


def printable(text: str) -> str:
    """The text with control, direction and invisible characters spelt out as escapes."""
    return _UNPRINTABLE.sub(lambda found: _spelt(found.group()), text)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode()


def flat_properties(given: object) -> object:
    """Undo TOML's nesting of ``sasl.password`` written without quotes.

    Raises:
        ValueError: a value is no text, number, true or false.
    """
    if not isinstance(given, Mapping):
        return given
    return dict(_flat("", given))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.", value)
        elif isinstance(value, str | int | float | SecretStr):
            yield name, value
        else:
            raise ValueError(f"{printable(name)} takes text, a number, true or false")  # noqa: TRY004 - pydantic collects ValueError


def hide_secret_properties(given: object) -> object:
    """Wrap the values of secret librdkafka properties."""
    if not isinstance(given, dict):
        return given
    return {
        key: SecretStr(str(value))
        if is_secret_key(key) and not isinstance(value, SecretStr)
        else value
        for key, value in given.items()
    }


def inline_secrets(settings: BaseModel) -> Iterator[str]:
    """Every secret that stands in the settings themselves, for the redaction of logs."""
    yield from _inline(settings)


def _inline(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if name == "proxy" and (password := urlsplit(inner).password):
                yield from {password, unquote(password)}
            yield from _inline(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _inline(inner)


def masked(settings: BaseModel) -> dict[str, Any]:
    """The settings as JSON-ready tables, secrets masked; what was left out stays `None`."""
    return masked_tables(settings.model_dump(mode="json"))


def masked_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of settings with their secrets masked."""
    return {key: _masked(key, value) for key, value in tables.items()}


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(name, inner) for name, inner in value.items()}
    if value and is_secret_key(key) and isinstance(value, str):
        return MASK
    return _without_password(value) if key == "proxy" and isinstance(value, str) else value


def _without_password(url: str) -> str:
    try:
        password = urlsplit(url).password
    except ValueError:
        return MASK  # no URL at all, but it may hold one
    return url.replace(f":{password}@", f":{MASK}@") if password else url
