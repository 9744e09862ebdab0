"""Does work in a child process: what hangs, floods or crashes there costs one answer.

A record that crashes the decoder is a dead letter of its own (``decode.crash``), and whoever opens
it has it decoded again; that must not end the process that keeps the connector alive.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Protocol

from processor.connector.task_process import die_with_parent, frames_of
from processor.errors import Misconfigured, ProcessorError, TryAgain
from processor.settings import Settings, inline_secrets
from processor.telemetry import logs
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

Tell = Callable[[Any], None]
"""Takes news of how far a piece of work is."""

Work = Callable[[Settings, Any, Tell], Any]
"""A function of a module, with what is asked; both sides of it can be sent between processes."""

CHILDREN = 2
WAITING = 16
"""Who comes when so many wait is sent away."""

ANSWER_S = 30.0
"""How long an answer may take; a person waits for it."""

IDLE_S = 120.0
"""A child that nobody needed for so long is let go; it holds about a hundred megabytes."""

STOP_S = 5.0
TOLD, DONE, AGAIN, WRONG, DEFECT = "told", "done", "again", "wrong", "defect"


class Hand(Protocol):
    """Does one piece of work after the other, in a process of its own."""

    def ask(
        self,
        work: Work,
        asked: Any,
        *,
        timeout_s: float | None,
        heard: Tell = ...,
    ) -> "Answer":
        """Have work done, and wait for it; see :class:`Child`."""
        ...

    def stop(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Desk(Protocol):
    """Where questions are asked; :class:`Apart` is the real one."""

    async def call(self, work: Work, asked: Any = None, *, timeout_s: float = ANSWER_S) -> Any:
        """What the work gives; see :class:`Apart`."""
        ...

    def hire(self) -> Hand:
        """Somebody for a piece of work that takes long; whoever hires lets go."""
        ...

    def close(self) -> None:
        """Let everybody go who answers questions."""
        ...


class Apart:
    """Child processes that answer questions, at most `CHILDREN` at a time.

    Call it from one event loop, on the main thread: a child lives no longer than its parent.
    """

    def __init__(self, settings: Settings, *, children: int = CHILDREN) -> None:
        self._settings = settings
        self._free = asyncio.Semaphore(children)
        self._threads = ThreadPoolExecutor(children, thread_name_prefix="apart")
        self._idle: list[Child] = []
        self._waiting = 0
        self._resting: asyncio.TimerHandle | None = None

    async def call(self, work: Work, asked: Any = None, *, timeout_s: float = ANSWER_S) -> Any:
        """What a child answers.

        Raises:
            TryAgain: it took too long, crashed, or too many wait; or the work raised it.
            Misconfigured: the work raised it.
        """
        if self._waiting >= WAITING:
            raise TryAgain("Too many ask at once; try again in a moment.", reason="kafka")
        self._waiting += 1
        try:
            async with self._free:
                return await self._ask(work, asked, timeout_s)
        finally:
            self._waiting -= 1

    async def _ask(self, work: Work, asked: Any, timeout_s: float) -> Any:
        child = self._idle.pop() if self._idle else Child(self._settings)
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(
                self._threads, lambda: child.ask(work, asked, timeout_s=timeout_s)
            )
        except BaseException:
            child.kill()
            raise
        self._idle.append(child)
        if self._resting is not None:
            self._resting.cancel()
        self._resting = loop.call_later(IDLE_S, self._let_go)
        return answer.given()

    def _let_go(self) -> None:
        for child in self._idle:
            child.kill()
        self._idle.clear()

    def hire(self) -> "Child":
        """A child for a piece of work that takes long; whoever hires it ends it."""
        return Child(self._settings)

    def close(self) -> None:
        """End the children that answer questions."""
        if self._resting is not None:
            self._resting.cancel()
        self._let_go()
        self._threads.shutdown(wait=False, cancel_futures=True)


class Answer:
    """What a child said at the end of a piece of work; an error is one of ours."""

    def __init__(self, kind: str, what: Any) -> None:
        self._kind = kind
        self._what = what

    def given(self) -> Any:
        """What the work gave.

        Raises:
            TryAgain: as the work raised it, or it ended by a defect.
            Misconfigured: as the work raised it.
        """
        match self._kind:
            case "done":
                return self._what
            case "again":
                raise TryAgain(self._what[0], reason=self._what[1])
            case "wrong":
                message, mend, reason = self._what
                raise Misconfigured(message, mend=mend, reason=reason)
            case _:
                raise TryAgain("That failed by a defect; the log says more.", reason="kafka")


class Child:
    """One child process, which does one piece of work after the other."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # A daemon: it is told to end, and waited for, when the connector ends.
        self._process = context.Process(
            target=_serve, args=(settings, theirs), name=f"{settings.name}-desk", daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(
        self,
        work: Work,
        asked: Any,
        *,
        timeout_s: float | None,
        heard: Tell = lambda _news: None,
    ) -> Answer:
        """Have work done, and wait for it. Blocks.

        Args:
            work: a function of a module.
            asked: its question.
            timeout_s: how long it may take; `None`: as long as it takes.
            heard: takes its news, on this thread.

        Raises:
            TryAgain: it took too long or crashed; the child is of no use any more.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._connection.send((work, asked))
            while True:
                left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
                if not self._connection.poll(left_s):
                    raise TryAgain(
                        f"It took longer than {timeout_s:g} s and was given up. Ask for less, or "
                        "use the command line, which waits as long as it takes.",
                        reason="kafka",
                    )
                kind, what = self._connection.recv()
                if kind != TOLD:
                    return Answer(kind, what)
                heard(what)
        except (EOFError, OSError):
            self._process.join(STOP_S)
            status = self._process.exitcode
            log.error("A process that looked at dead letters died.", status=status)  # noqa: TRY400 - its status says it
            raise TryAgain(
                "The process that did this died. If it dies again, what it looked at crashes it: "
                "look at the log, and at the record with the command line.",
                reason="kafka",
            ) from None

    def stop(self) -> None:
        """Ask it to end; work that drains does so first."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join(STOP_S)
        self._connection.close()


def _serve(settings: Settings, connection: Connection) -> None:
    """Do what comes, until nothing comes any more; the entry point of the child process."""
    die_with_parent()
    # A terminal's Ctrl-C is the supervisor's to handle, also while a replay listens for signals.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setpgrp()
    logs.configure(settings.logging, secrets=inline_secrets(settings), who={"process": "desk"})
    while True:
        try:
            work, asked = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_done(work, settings, asked, connection))


def _done(work: Work, settings: Settings, asked: Any, connection: Connection) -> tuple[str, Any]:
    try:
        return DONE, work(settings, asked, lambda news: connection.send((TOLD, news)))
    except TryAgain as error:
        return AGAIN, (error.args[0], error.reason)
    except Misconfigured as error:
        return WRONG, (error.args[0], error.mend, error.reason)
    except ProcessorError as error:
        return WRONG, (str(error), "", "settings")
    except Exception as defect:  # noqa: BLE001 - said without its text, which may quote a record
        log.error("The desk met a defect.", where=frames_of(defect))  # noqa: TRY400
        return DEFECT, None
