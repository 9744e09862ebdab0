"""One line of the preflight: what was looked at, how it is, and the mend."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from processor.errors import Misconfigured, ProcessorError

Status = Literal["ok", "warning", "bad", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part of the set-up is.

    Attributes:
        subject: what was looked at, such as ``topic capillary.events``.
        status: ``bad`` decides the verdict, ``warning`` does not; ``skipped`` was not looked at.
        message: what was found.
        mend: what to change; ``""`` when there is nothing to mend.
    """

    subject: str
    status: Status
    message: str
    mend: str = ""


def ok(subject: str, message: str) -> Finding:
    """Nothing to mend."""
    return Finding(subject, "ok", message)


def warning(subject: str, message: str, mend: str) -> Finding:
    """The connector works, and something will be regretted."""
    return Finding(subject, "warning", message, mend)


def bad(subject: str, message: str, mend: str) -> Finding:
    """The connector would not work."""
    return Finding(subject, "bad", message, mend)


def skipped(subject: str, message: str, mend: str = "") -> Finding:
    """It could not be looked at, which the connector does not need."""
    return Finding(subject, "skipped", message, mend)


def bad_by(subject: str, error: ProcessorError, mend: str = "") -> Finding:
    """As `bad`, in the error's own words.

    Args:
        subject: what was looked at.
        error: what it raised.
        mend: what to change when the error does not say it.
    """
    own = error.mend if isinstance(error, Misconfigured) else ""
    message = str(error).removesuffix(own).rstrip()
    return Finding(subject, "bad", message, own or mend)


def broken(subject: str, error: BaseException) -> Finding:
    """A check that failed itself, in a way nobody foresaw; what it says may hold anything."""
    return bad(
        subject,
        f"This check itself failed ({type(error).__name__}).",
        "Report it with the versions of Kafka and of the processor.",
    )


def apart(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of one check, whose failure hides no other.

    Args:
        subject: what it looks at, for the finding when it fails.
        look: gives the findings.
    """
    try:
        yield from look()
    except ProcessorError as error:
        yield bad_by(subject, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks are wanted too
        yield broken(subject, error)
