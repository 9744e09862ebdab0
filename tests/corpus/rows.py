"""What a row of the bad-input corpus is: an input, and the one verdict that it has to get."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from processor.errors import Code, FilterReason
from processor.record import Headers

Fate = Literal["deliver", "dead_letter", "wait", "refuse_schema", "filter"]


class Verdict(NamedTuple):
    """What has to become of a record.

    Attributes:
        why: the code of a dead letter, or the reason of a filtered record.
    """

    fate: Fate
    why: str = ""

    def __str__(self) -> str:
        said = self.fate.replace("_", " ")
        return f"{said} `{self.why}`" if self.why else said


DELIVER = Verdict("deliver")
WAIT = Verdict("wait")
REFUSE_SCHEMA = Verdict("refuse_schema", Code.DECODE_SCHEMA_REFUSED.value)


def dead_letter(code: Code) -> Verdict:
    return Verdict("dead_letter", code.value)


def filtered(reason: FilterReason) -> Verdict:
    return Verdict("filter", reason.value)


class Registry(Protocol):
    """Where a row puts the schemas that its bytes name."""

    def id_of(self, schema: Any, kind: str = "AVRO") -> int:
        """The id of a schema, registered if it is not yet."""


class Input(NamedTuple):
    """One record."""

    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = 1_750_224_536_000


class Made(NamedTuple):
    """A message that would be sent."""

    target: str
    id: str
    entity: dict[str, Any]


class Delivered(NamedTuple):
    """What one record came to."""

    messages: Sequence[Made]

    def entity(self, target: str = "event") -> dict[str, Any]:
        """The entity of the only message for a target."""
        (found,) = (made.entity for made in self.messages if made.target == target)
        return found


Inputs = Callable[[Registry], Sequence[Input]]
Check = Callable[[Sequence[Delivered]], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One bad input.

    Attributes:
        number: in the corpus, such as ``B14``; several rows may share one.
        what: it is, in words; with the number it names the row.
        inputs: makes its records; all have to get the verdict.
        verdict: theirs.
        says: words that the refusal has to hold.
        pointer: of the refusal.
        check: looks at what was delivered.
        settings: tables over the usual settings.
        folder: files of an operator's schemas folder.
        reason: why this verdict and not another that one could think of.
    """

    number: str
    what: str
    inputs: Inputs
    verdict: Verdict
    says: str = ""
    pointer: str = ""
    check: Check | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    folder: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def name(self) -> str:
        return f"{self.number} {self.what}"


@dataclass(frozen=True, slots=True)
class Proven:
    """A row that other tests prove, because it needs more than a decoder and a mapping.

    Attributes:
        verdict: in words.
        where: file and function of the test, ``tests/…py::test_…``; several may share the work.
    """

    number: str
    what: str
    verdict: str
    where: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.number} {self.what}"


@dataclass(frozen=True, slots=True)
class Later:
    """What a row says of a part that does not exist yet, and why it is not tested here."""

    number: str
    what: str
    reason: str
