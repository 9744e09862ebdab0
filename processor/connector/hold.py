"""What people are told of a kind of failure that holds."""

from dataclasses import dataclass

from processor.connector.judge import Kind
from processor.errors import Code
from processor.record import Position


@dataclass(frozen=True, slots=True)
class Hold:
    """One kind of failure that holds, as people are told of it.

    Attributes:
        kind_id: 12 hexadecimal digits.
        since: when it began, RFC 3339.
        records: how many wait for it.
        first: coordinates of one of them.
        message: what happened, and what would mend it.
        probes: records tried since.
    """

    kind_id: str
    code: str
    target: str
    since: str
    records: int
    first: Position | None
    message: str
    probes: int

    @property
    def kind(self) -> Kind:
        """The kind as the judge knows it."""
        return Kind(Code(self.code), self.target)
