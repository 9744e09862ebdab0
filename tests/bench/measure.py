"""What a running program cost: CPU and memory from /proc, arrivals from the sink."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
POLL_S = 0.05
FIRST_S, FROM_MESSAGES = 60.0, 20
FROM, TO = 0.2, 0.95
"""A throughput is measured between these shares of the records: without the start and the end."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a run.

    Attributes:
        at_s: the sink's monotonic clock.
        messages: accepted so far.
        cpu_s: CPU time of all processes of the group so far.
        sink_cpu_s: likewise of the sink.
    """

    at_s: float
    messages: int
    cpu_s: float
    sink_cpu_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """What happened between two moments."""

    records_per_s: float
    cpu_us_per_record: float
    cores: float
    sink_cores: float

    @classmethod
    def between(cls, first: Sample, last: Sample) -> "Span":
        seconds = last.at_s - first.at_s
        records = last.messages - first.messages
        cpu_s = last.cpu_s - first.cpu_s
        return cls(
            records_per_s=records / seconds,
            cpu_us_per_record=cpu_s / records * 1e6,
            cores=cpu_s / seconds,
            sink_cores=(last.sink_cpu_s - first.sink_cpu_s) / seconds,
        )


class Sink:
    """The sink's own report."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.port = httpx.URL(url).port or 80
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=10.0)

    def reset(self, *, latency_ms: float = 0, sample: bool = False, order: bool = False) -> None:
        query = {"latency_ms": str(latency_ms)}
        query |= {name: "1" for name, on in (("sample", sample), ("order", order)) if on}
        self._client.post("/bench/reset", params=query).raise_for_status()

    def report(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get("/bench/report").raise_for_status().json()
        return answer

    def sample(self, group: int) -> Sample:
        report = self.report()
        return Sample(report["at_s"], report["messages"], cpu_s(group), report["cpu_s"])

    def watch(self, group: int, count: int, running: Callable[[], bool], timeout_s: float) -> Span:
        """Wait until so many messages came in, and say what the middle of the run cost.

        Raises:
            RuntimeError: the program ended, or the time passed.
        """
        deadline_s = time.monotonic() + timeout_s
        samples = [self.sample(group)]
        while samples[-1].messages < count:
            if not running():
                raise RuntimeError("The program ended before the run did; see its log.")
            if time.monotonic() > deadline_s:
                arrived = samples[-1].messages
                raise RuntimeError(f"{arrived} of {count} messages within {timeout_s:g} s.")
            time.sleep(POLL_S)
            samples.append(self.sample(group))
        first = [sample for sample in samples if sample.messages <= FROM * count][-1]
        last = next(sample for sample in samples if sample.messages >= TO * count)
        return Span.between(first, last)

    def watch_for(self, group: int, count: int, longest_s: float) -> Span:
        """What so many seconds cost once messages come in, or until most of them have.

        Raises:
            RuntimeError: none came.
        """
        deadline_s = time.monotonic() + FIRST_S
        while (first := self.sample(group)).messages <= FROM_MESSAGES:
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"{first.messages} messages within {FIRST_S:g} s.")
            time.sleep(POLL_S)
        last = first
        while last.at_s < first.at_s + longest_s and last.messages < TO * count:
            time.sleep(POLL_S)
            last = self.sample(group)
        return Span.between(first, last)


def group_of(pid: int) -> list[int]:
    """Every process of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and int(fields[2]) == pid:
                found.append(int(entry.name))
    return found


def cpu_s(group: int) -> float:
    """CPU seconds of a process group, with those of its children that ended."""
    total = 0
    for pid in group_of(group):
        if (fields := _stat(pid)) is not None:
            total += sum(int(value) for value in fields[11:15])
    return total / TICKS_PER_S


def own_cpu_s(pid: int) -> float:
    """CPU seconds of one process, without its children."""
    fields = _stat(pid)
    return 0.0 if fields is None else sum(int(value) for value in fields[11:13]) / TICKS_PER_S


def peak_mb(group: int) -> tuple[float, float]:
    """Highest resident memory in MiB: of the largest process of the group, and all added up."""
    peaks = []
    for pid in group_of(group):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except FileNotFoundError:
            continue
        peaks += [
            int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")
        ]
    return max(peaks), sum(peaks)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name, see proc(5); `None`: there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
