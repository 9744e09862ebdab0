"""A child process that judges rows of the corpus: one JSON line a row, under limits.

``python -m tests.corpus.run SECONDS`` with a JSON list of rows' names on stdin. Each row has so
many seconds and all of them together so much memory; what takes more ends the process, and so does
a crash of native code. The parent knows from the last line which row it was.
"""

import asyncio
import json
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.corpus.cases import BY_NAME
from tests.corpus.generated import Generated
from tests.corpus.machine import Machine, Outcome
from tests.corpus.rows import Row

MORE_MEMORY_BYTES = 500_000_000
"""What rows may take beyond the code itself."""


def main() -> None:
    seconds = int(sys.argv[1])
    names: list[str] = json.load(sys.stdin)
    _limit_memory()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_judge(names, seconds, Path(directory)))


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


async def _judge(names: Sequence[str], seconds: int, directory: Path) -> None:
    machines: dict[str, Machine] = {}
    for name in names:
        row = BY_NAME[name]
        made_of = json.dumps([row.settings, row.folder])
        if made_of not in machines:
            place = directory / str(len(machines))
            machines[made_of] = Machine(row.settings, row.folder, place)
        machine = machines[made_of]
        started_s = time.process_time()
        signal.alarm(seconds)
        try:
            found = await _found(row, machine)
        except MemoryError:
            found = {"wrong": "out of memory"}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's failure
            found = {"wrong": f"{type(error).__name__}: {error}"}
        signal.alarm(0)
        print(json.dumps({"row": name, "cpu_s": time.process_time() - started_s, **found}))  # noqa: T201
        sys.stdout.flush()


async def _found(row: Row | Generated, machine: Machine) -> dict[str, Any]:
    if isinstance(row, Generated):
        return {"counts": dict(await row.run(machine))}
    outcomes = [await machine.outcome(given) for given in row.inputs(machine.registry)]
    wrong = _wrong(row, outcomes)
    return {"verdicts": sorted({str(one.verdict) for one in outcomes}), "wrong": wrong}


def _wrong(row: Row, outcomes: Sequence[Outcome]) -> str:
    """What is not as the row says, beyond the verdicts."""
    for one in outcomes:
        if row.says not in one.said:
            return f"it says: {one.said}"
        if row.pointer and one.pointer != row.pointer:
            return f"it points to {one.pointer!r}: {one.said}"
    if row.check is not None and all(one.verdict.fate == "deliver" for one in outcomes):
        row.check([one.delivered for one in outcomes])
    return ""


if __name__ == "__main__":
    main()
