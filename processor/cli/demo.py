"""``processor demo``: events flow on real parts, on this machine."""

import contextlib
import signal
import tempfile
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Examples: processor demo · processor demo --keep --records 20000")(demo)


def demo(
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave broker, registry, simulator, connector and its page running."
        ),
    ] = False,
    records: Annotated[
        int, typer.Option("--records", min=100, max=1_000_000, help="Good events to produce.")
    ] = 4_000,
) -> None:
    """Show events flow end to end, catch the bad ones, mend one mistake and replay it.

    Uses the broker that KAFKA_BOOTSTRAP_SERVERS names (with SCHEMA_REGISTRY_URL), else starts one
    on loopback (Java and Maven, or Docker). Ends by itself with a table; exit status 1 when a
    record is missing, doubled, or ended otherwise than it should.
    """
    from processor.demo.acts import Demo
    from processor.local.environment import bring_up

    console = Console(highlight=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Either ends the parts and removes their files, also for a start in the background.
        signal.signal(number, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="processor-demo-") as name,
        bring_up(Path(name), console.print) as environment,
    ):
        play = Demo(environment, Path(name), console, records)
        play.play()
        if keep:
            play.stay()
        console.print("\nLook further:" if keep else "\nLook further with make demo KEEP=1:")
        for command in play.commands(kept=keep):
            console.print(f"  {command}", soft_wrap=True, markup=False)
        if keep:
            console.print("\nEverything is left running. Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
