"""A secret from the settings or from a file that may change while we run."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from processor.errors import Misconfigured
from processor.settings.models import ImsSettings

_MAX_FILE_BYTES = 65_536
_listeners: list[Callable[[str], None]] = []


def tell_when_read(listener: Callable[[str], None]) -> Callable[[], None]:
    """Hand every secret that is read to this listener, so that logs can mask it.

    Telemetry stands below settings and cannot be imported here; it announces itself.

    Returns:
        What to call to hear no more.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


class SecretValue:
    """One secret: given in the settings, or in a file that is re-read when it changes.

    Args:
        value: the secret itself, or `None`.
        file: where it stands; wins over `value`, which the settings refuse beside it.
        key: the setting's dotted name, for messages.
    """

    __slots__ = ("_content", "_file", "_key", "_seen", "_value")

    def __init__(self, value: SecretStr | None, file: Path | None, *, key: str = "") -> None:
        self._value = value
        self._file = file
        self._key = key or "a secret"
        self._seen: tuple[int, int, int] | None = None
        self._content = ""

    def __repr__(self) -> str:
        source = f"file={str(self._file)!r}" if self._file else "in the settings"
        return f"SecretValue({self._key}, {source})"

    def __bool__(self) -> bool:
        """Whether it is set at all; says nothing about the file."""
        return self._file is not None or bool(self._value and self._value.get_secret_value())

    def read(self) -> str:
        """The secret as it stands now, without one trailing newline.

        Raises:
            Misconfigured: it is not set, or its file is missing, unreadable, empty or no text.
        """
        if self._file is not None:
            secret = self._from_file(self._file)
        elif self._value is not None and (secret := self._value.get_secret_value()):
            pass
        else:
            raise Misconfigured(
                f"{self._key} is not set.", mend=f"Set it, or {self._key}_file, in the settings."
            )
        for listener in _listeners:
            listener(secret)
        return secret

    def is_exposed(self) -> bool:
        """Whether everybody on this host can read the file; False when there is none."""
        if self._file is None:
            return False
        try:
            return bool(self._file.stat().st_mode & stat.S_IROTH)
        except OSError:
            return False

    def _from_file(self, file: Path) -> str:
        # Device, size and time all change when Kubernetes swaps the link behind the path; `stat`
        # follows it. Taken before reading: a change in between is then seen the next time.
        try:
            found = os.stat(file)  # noqa: PTH116 - one system call, called for every token
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self._seen:
                self._content = self._text_of(file)
                self._seen = seen
        except OSError as error:
            raise Misconfigured(
                f"{self._key}_file: {file} cannot be read ({error.strerror}).",
                mend="Mount the secret there, or correct the path.",
            ) from error
        return self._content

    def _text_of(self, file: Path) -> str:
        with file.open("rb") as opened:
            content = opened.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise Misconfigured(
                f"{self._key}_file: {file} holds more than {_MAX_FILE_BYTES} bytes.",
                mend="Give a file that holds the secret and nothing else.",
            )
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise Misconfigured(
                f"{self._key}_file: {file} is not UTF-8 text.",
                mend="Write the secret into it as plain text.",
            ) from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise Misconfigured(
                f"{self._key}_file: {file} is empty.", mend="Write the secret into it."
            )
        return text


def client_secrets(ims: ImsSettings) -> dict[str, SecretValue]:
    """The client secrets that are set, by the name of their setting, in the order of their use."""
    named = {
        "client_secret": (ims.client_secret, ims.client_secret_file),
        "client_secret_next": (ims.client_secret_next, ims.client_secret_next_file),
    }
    secrets = {name: SecretValue(*given, key=f"ims.{name}") for name, given in named.items()}
    return {name: secret for name, secret in secrets.items() if secret}
