"""One line of the preflight: what was looked at, how it is, and the mend."""

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


def bad(subject: str, message: str, mend: str) -> Finding:
    """The connector would not work."""
    return Finding(subject, "bad", message, mend)


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
