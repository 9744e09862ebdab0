"""The command line as a whole: its commands in order, and the options that they share."""

import importlib
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from processor import __version__
from processor.settings import LoggingSettings, Settings, inline_secrets, load, service_links
from processor.telemetry.logs import configure, get_logger

ORDER = (
    "run",
    "check",
    "demo",
    "simulator",
    "produce",
    "map",
    "schemas",
    "dlq",
    "replay",
    "offsets",
    "errors",
    "reconcile",
    "trace",
    "auth",
)
"""Command groups as --help lists them: one file each; a file that is not here comes last."""

NO_GROUPS = frozenset({"app", "options", "output"})

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file (TOML); else the one that PROCESSOR_CONFIG names.",
    ),
]
"""The option ``--config`` of every command that reads settings."""

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
"""The option ``--json`` of every command that prints something."""

log = get_logger(__name__)


def open_settings(config: Path | None, *, override: Path | None = None) -> Settings:
    """Load the settings for a command, and set up logs that keep their secrets.

    Args:
        config: the settings file.
        override: as :func:`processor.settings.load` takes it.

    Raises:
        Misconfigured: with everything that is wrong with them.
    """
    settings = load(config, os.environ, override=override)
    configure(settings.logging, secrets=inline_secrets(settings))
    if links := service_links(os.environ):
        log.warning(
            "Variables that Kubernetes sets for a Service named like our prefix are ignored. "
            "Set enableServiceLinks: false on the Pod to be rid of them.",
            variables=links,
        )
    return settings


class InOrder(TyperGroup):
    """Lists commands and groups of commands together; Typer would put all groups last."""

    def list_commands(self, _ctx: Any) -> list[str]:
        """The names, in the order of `ORDER`."""
        return sorted(self.commands, key=_place)


def command() -> Callable[..., Any]:
    """The whole command line, ready to be called with ``args``."""
    app = typer.Typer(
        name="processor",
        cls=InOrder,
        help="Capillary loyalty events from Kafka to Adobe Experience Platform, as XDM.",
        epilog="Settings: docs/configure.md. What is wrong: docs/operate.md. Exit status: 0 done, "
        "1 failed, 2 usage or settings, 3 finished with a bad verdict, 130 interrupted.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_shared)
    for name in _groups():
        importlib.import_module(f"{__package__}.{name}").register(app)
    return get_command(app)


def _groups() -> list[str]:
    here = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted({module.name for module in here} - NO_GROUPS, key=_place)


def _place(name: str) -> tuple[int, str]:
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def _shared(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            is_eager=True,
            callback=lambda asked: _show_version(asked=asked),
        ),
    ] = False,
) -> None:
    configure(LoggingSettings(level="WARNING", format="console"))  # until settings say otherwise


def _show_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"processor {__version__}")
        raise typer.Exit
