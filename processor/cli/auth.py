"""``processor auth``: whether Adobe IMS takes our credentials."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from processor.cli.app import Config, Json, open_settings
from processor.cli.output import console, json_line, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processor.operations.auth_status import AuthStatus

BAD_VERDICT = 3
_UNITS = {"s": "seconds", "ms": "milliseconds", None: "no usable number"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    auth = typer.Typer(
        name="auth", help="Credentials for Adobe IMS: do they work?", no_args_is_help=True
    )
    # With a callback the only command keeps its name.
    auth.callback()(_group)
    auth.command(
        "status",
        epilog="Examples: processor auth status · processor auth status --try-next --json",
    )(status)
    app.add_typer(auth)


def _group() -> None:
    """Credentials for Adobe IMS: do they work?"""


def status(
    *,
    config: Config = None,
    try_next: Annotated[
        bool,
        typer.Option(
            "--try-next", help="Buy a token with the next secret too; that is one more token."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Ask Adobe IMS for one token and say which setting's secret it accepted; never its value.

    It is a token of this command's own: that of a running connector is not touched. Exits with 3
    when IMS refuses, or when --try-next finds no next secret that works; with 1 when IMS is away.
    """
    settings = open_settings(config)
    from processor.operations.auth_status import auth_status

    found = asyncio.run(auth_status(settings.ims, try_next=try_next))
    if json:
        json_line(found.document())
    else:
        out = console()
        for line in _lines(found):
            out.print(safe(line))
    if not found.good:
        raise typer.Exit(BAD_VERDICT)


def _lines(found: "AuthStatus") -> "Iterator[str]":
    yield f"token URL    {found.token_url}"
    yield f"scopes       {found.scope_separator.join(found.scopes)}"
    if found.secret is None:
        yield f"secret       {found.problem}"
    else:
        yield f"secret       IMS accepted {found.secret}"
        said = f"IMS gave its lifetime as {_UNITS[found.unit]}"
        yield f"token        {found.expires_in_s} s left; {said}"
    if found.next.setting is None:
        yield f"next secret  {found.next.problem or 'not set'}"
    elif found.next.works is None:
        yield f"next secret  {found.next.setting} is set, and was not tried (--try-next)"
    elif found.next.works:
        yield f"next secret  {found.next.setting} works"
    else:
        yield f"next secret  {found.next.setting} does not work: {found.next.problem}"
