"""Reads metrics back from Prometheus' text form, for whoever shows them to people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every sample at one moment, by the name of the sample."""

    samples: Mapping[str, tuple[tuple[Labels, float], ...]]

    @classmethod
    def read(cls, text: bytes) -> "Scrape":
        """The samples of a text."""
        found: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return cls({name: tuple(rows) for name, rows in found.items()})

    def rows(self, name: str) -> tuple[tuple[Labels, float], ...]:
        """The samples of a name; none when there are none."""
        return self.samples.get(name, ())

    def total(self, name: str) -> float:
        """All samples of a name added up; 0 when there are none."""
        return sum(value for _, value in self.rows(name))

    def only(self, name: str) -> float | None:
        """The sample of a name that has one; `None` when it has none."""
        return next((value for _, value in self.rows(name)), None)

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of a name added up by some labels."""
        sums: dict[tuple[str, ...], float] = {}
        for key, value in self._keyed(name, labels):
            sums[key] = sums.get(key, 0.0) + value
        return sums

    def _keyed(self, name: str, labels: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
        for found, value in self.rows(name):
            yield tuple(found.get(label, "") for label in labels), value
