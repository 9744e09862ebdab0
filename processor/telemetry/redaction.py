"""Takes secrets out of texts, in whatever form they were written down."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import quote, quote_plus

from processor.settings.masking import MASK, is_secret_key, printable

MAX_TEXT_CHARACTERS = 16_384
_MIN_SECRET_CHARACTERS = 4
_MIN_FORM_CHARACTERS = 8  # shorter pieces of base64 stand in ordinary words
_MIN_LINE_CHARACTERS = 16
_MAX_DEPTH = 8
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_MULTILINE = frozenset({"exception", "stack"})


class Redactor:
    """Masks registered secrets and whatever stands under a secret's key."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def register(self, secret: str) -> None:
        """Mask this from now on: in clear, URL-encoded, base64, JSON-escaped, as `repr` has it.

        Fewer than four characters are not masked: they would take ordinary words along.
        """
        if len(secret) < _MIN_SECRET_CHARACTERS or secret in self._forms:
            return
        self._forms.update(_forms(secret))
        for line in secret.splitlines():  # a private key is shown line by line
            if len(line) >= _MIN_LINE_CHARACTERS:
                self._forms.update(_forms(line))
        longest_first = sorted(self._forms, key=len, reverse=True)
        # A lookahead finds secrets that overlap as well: taken one after the other, a short one
        # would hide the beginning of a longer one and let the rest of it stand.
        self._known = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = _masked(text, (found.span(1) for found in self._known.finditer(text)))
        return _BEARER.sub(rf"\1 {MASK}", text)

    def value(self, key: str, value: Any, *, depth: int = 0) -> Any:
        """A log field without secrets; what is no plain value becomes its masked `repr`."""
        if value is None or isinstance(value, bool | int | float):
            return MASK if value and is_secret_key(key) else value
        if is_secret_key(key) and value:
            return MASK
        if isinstance(value, str):
            return self._written(value, lines=key in _MULTILINE)
        if depth < _MAX_DEPTH and isinstance(value, Mapping):
            return {
                self._written(str(name)): self.value(str(name), inner, depth=depth + 1)
                for name, inner in value.items()
            }
        if depth < _MAX_DEPTH and isinstance(value, list | tuple | AbstractSet):
            return [self.value("", inner, depth=depth + 1) for inner in value]
        return self._written(repr(value))

    def _written(self, text: str, *, lines: bool = False) -> str:
        # Masked before it is cut: half a secret at the cut would not be recognised.
        text = self.text(text)
        if len(text) > MAX_TEXT_CHARACTERS:
            left_out = len(text) - MAX_TEXT_CHARACTERS
            text = f"{text[:MAX_TEXT_CHARACTERS]}… ({left_out} characters more)"
        if lines:  # a traceback keeps its lines, indented: none of them passes for a log line
            return "\n    ".join(map(printable, text.split("\n")))
        return printable(text)


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with a mask for each stretch that these spans, ordered by start, cover."""
    parts: list[str] = []
    kept_from = 0
    for start, end in spans:
        if start > kept_from or not parts:
            parts += (text[kept_from:start], MASK)
        kept_from = max(kept_from, end)
    return "".join((*parts, text[kept_from:]))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield from {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    yield from {form.lower() for form in {quote(secret, safe=""), quote_plus(secret)}}
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(secret).replace("/", "\\/")[1:-1]
    yield repr(secret)[1:-1]
    yield printable(secret)
    content = secret.encode(errors="surrogatepass")
    yield repr(content)[2:-1]
    yield content.hex()
    for form in _base64_forms(content):
        if len(form) >= _MIN_FORM_CHARACTERS:
            yield form


def _base64_forms(content: bytes) -> Iterator[str]:
    """Base64 of the secret, also within a longer text such as ``user:secret``.

    Three bytes become four characters, so a secret inside looks in one of three ways, depending on
    how many bytes stand before it; its first and last character depend on its neighbours.
    """
    for before in range(3):
        padded = b"\0" * before + content
        start, end = (before * 8 + 5) // 6, len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(padded).decode()[start:end]
    yield base64.b64encode(content).decode().rstrip("=")
    yield base64.urlsafe_b64encode(content).decode().rstrip("=")
