"""The command line: one file per command group, and the one place that catches what went wrong.

What takes time to import is imported in there, where Ctrl-C is an interruption and no traceback.
"""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from processor.errors import Misconfigured, ProcessorError

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main() -> None:
    """The console scripts ``processor`` and ``capillary-aep``: run a command, exit with its status.

    0 done; 1 failed; 2 usage or settings; 3 finished with a bad verdict; 130 interrupted.
    """
    leave_no_core_dumps()
    if sys.argv[1:2] == ["run"]:
        signal.signal(signal.SIGTERM, _stop_before_anything_began)
    status = invoke(sys.argv[1:])
    sys.exit(_flushed(status))


def leave_no_core_dumps() -> None:
    """Keep what is in memory, secrets and customers' records, off the disk when we crash.

    Child processes inherit it. A kernel that pipes dumps to a program asks for no limit: there the
    host has to be told.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _stop_before_anything_began(_number: int, _frame: object) -> NoReturn:
    """End a connector that is still starting: it holds nothing, so it has drained.

    The supervisor takes the signal over before it connects to anything.
    """
    sys.exit(0)


def invoke(arguments: Sequence[str]) -> int:
    """Run one command and give its exit status. Failures become one sentence on stderr."""
    try:
        from processor.cli.app import command

        command()(args=list(arguments), prog_name="processor")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return FAILED
    except Exception as raised:  # noqa: BLE001 - the one place that catches all, to say one sentence
        return explain(raised, debug=os.environ.get("PROCESSOR_DEBUG") == "1")
    return 0


def explain(raised: Exception, *, debug: bool) -> int:
    """Say on stderr what went wrong, and give the exit status.

    Args:
        raised: what ended the command.
        debug: with the traceback.
    """
    from processor.settings.masking import printable
    from processor.telemetry.logs import redact

    error = _cause(raised)
    if debug:
        _say(redact("".join(traceback.format_exception(raised))).rstrip())
    if isinstance(error, ProcessorError):
        _say("\n".join(printable(line) for line in redact(str(error)).split("\n")))
        return USAGE if isinstance(error, Misconfigured) else FAILED
    # Not its text: it comes from anywhere and may hold a customer's field or a secret.
    _say(
        f"Something unexpected happened: {type(error).__name__}{_place(error)}. Run it again with "
        "PROCESSOR_DEBUG=1 for the traceback, and report it with that."
    )
    return FAILED


def _cause(raised: Exception) -> Exception:
    """What a group of failed tasks is about: the set-up before the rest."""
    while isinstance(raised, ExceptionGroup):
        setup: ExceptionGroup | None = raised.subgroup(Misconfigured)
        known: ExceptionGroup | None = raised.subgroup(ProcessorError)
        raised = (setup or known or raised).exceptions[0]
    return raised


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}"


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")
    except BrokenPipeError:
        _silence(sys.stderr.fileno())


def _flushed(status: int) -> int:
    """Write out what is buffered; a reader that has left, such as ``head``, is no traceback."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _silence(stream.fileno())
            status = status or FAILED
    return status


def _silence(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
